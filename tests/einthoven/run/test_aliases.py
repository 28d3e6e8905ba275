"""Configs of earlier run folders mean what they meant."""

from einthoven.run.aliases import rename_targets

OLD = {
    "seed": 0,
    "engine": {"_target_": "preprocessing.ray_engine.RayEngine", "n_workers": 2},
    "sources": {"ptbxl": {"_target_": "noise_quant.sources.ptbxl_source", "raw_path": "x"}},
    "algo": {
        "name": "spectral_em",
        "sampler": {
            "_target_": "reconstruction.spectral_em.SpectralEM",
            "_partial_": True,
            "n_rounds": 2,
            "early": {"_target_": "reconstruction.ddnm.DDNM", "_partial_": True, "n_steps": 16},
            "gradients": {"_target_": "reconstruction.mgps.GradientSchedule", "n_steps": 1},
        },
    },
}
NEW = {
    "seed": 0,
    "engine": {"name": "ray", "n_workers": 2},
    "sources": {"ptbxl": {"raw_path": "x"}},
    "algo": {
        "name": "spectral_em",
        "sampler": {"n_rounds": 2, "early": {"name": "ddnm", "n_steps": 16}, "gradients": {"n_steps": 1}},
    },
}


def test_targets_become_names():
    assert rename_targets(OLD) == NEW
    assert rename_targets(NEW) == NEW


def test_what_is_unknown_stays_data():
    config = {"part": [{"_target_": "os.system", "command": "x"}], "algo": {"name": "a", "sampler": {"name": "b"}}}
    assert rename_targets(config) == config
