"""The script, on a small store and noise made up."""

import json

import numpy as np
import pytest
import yaml

from einthoven.run.files import write_json
from preprocessing.cohorts.simulator import simulate_store
from tests.scripts import run_script

TINY = ["algo.n_samples=2", "algo.batch_size=2"]
FEW_STEPS = {
    "spectral_em": ["algo.sampler.n_rounds=1", "algo.sampler.early.n_steps=2", "algo.sampler.final.n_steps=3"],
    "fourier_em": ["algo.sampler.n_rounds=1", "algo.sampler.inner.n_steps=2"],
    "amortised": ["algo.sampler.n_steps=3"],
}


def run(tmp_path, *overrides):
    return run_script("reconstruction.denoise", "n_threads=1", f"paths.runs={tmp_path}", *overrides)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("denoise")
    simulate_store(root / "store", 12, 100, 2.5)
    rng = np.random.default_rng(0)
    names = [f"{noise}_{half}" for noise in ("bw", "em", "ma") for half in ("fit", "test")]
    (root / "noise").mkdir()
    np.savez(root / "noise" / "noise.npz", **{name: rng.standard_normal((2, 3000)).astype("f4") for name in names})
    write_json(root / "noise" / "manifest.json", {"name": "nstdb", "sampling_rate": 100.0})
    return root


def settings(folders, tiny_weights, tmp_path):
    return [
        f"dataset.store={folders / 'store'}",
        f"denoising.noise_path={folders / 'noise'}",
        "dataset.split=train",
        "dataset.n_records=3",
        f"checkpoint={tiny_weights}",
        f"denoise.results_path={tmp_path / 'run'}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("algo", FEW_STEPS)
def test_script_denoises_a_store_and_goes_on(algo, folders, tiny_weights, tmp_path):
    overrides = [*settings(folders, tiny_weights, tmp_path), f"algo={algo}", *TINY, *FEW_STEPS[algo]]
    done = run(tmp_path, *overrides, "denoising.noise_type=mix", "denoising.snr_db=0")
    assert done.returncode == 0, done.stderr
    assert "3 ECGs (3 of them now)" in done.stdout
    folder = tmp_path / "run"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["denoising"]["noise_type"] == "mix"
    assert json.loads((folder / "provenance.json").read_text())["data_manifest_hash"]
    shapes = {path.stem: np.load(path).shape for path in folder.glob("*.npy")}
    assert shapes == {
        "samples": (3, 2, 12, 250),
        **dict.fromkeys(("mean", "lower", "upper", "truth", "observed", "noisy"), (3, 12, 250)),
    }
    assert not np.load(folder / "observed.npy").any()
    assert np.isfinite(np.load(folder / "samples.npy")).all()
    again = run(tmp_path, *overrides, "denoising.noise_type=mix", "denoising.snr_db=0")
    assert "nothing to do" in again.stdout


@pytest.mark.slow
def test_script_denoises_the_bundled_ecg(tiny_weights, tmp_path):
    done = run(
        tmp_path,
        "data=demo",
        "data.duration=4",
        "denoising.noise_type=auto",
        f"checkpoint={tiny_weights}",
        f"denoise.results_path={tmp_path / 'run'}",
        *TINY[:1],
        *FEW_STEPS["spectral_em"],
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "reconstruction.npz").is_file()


@pytest.mark.slow
def test_mistakes_are_told(folders, tiny_weights, tmp_path):
    overrides = settings(folders, tiny_weights, tmp_path)
    for wrong, message in (
        (["denoising.noise_type=em"], "denoising.snr_db"),
        (["denoising.noise_type=mains", "denoising.snr_db=0"], "bw, em, ma, mix"),
    ):
        done = run(tmp_path, *overrides, *wrong)
        assert done.returncode == 2
        assert message in done.stderr
        assert not (tmp_path / "run").exists()
