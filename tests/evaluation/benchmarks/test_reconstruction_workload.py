import pytest

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from evaluation.benchmarks.reconstruction_workload import COHORT, SAMPLERS, reconstruction_jobs, restore, restore_cohort
from reconstruction.samplers.registry import METHODS
from tests.test_configs import compose


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    backbone = {"name": "unet1d", "channels": (8,), "kernel_sizes": (3,), "attention": (False,), "n_blocks": 1}
    save_denoiser(path, build_denoiser({"backbone": backbone}))
    return str(path)


def test_one_ecg(weights):
    found = restore("amortised", 2, weights)
    assert found.pop("seconds") > 0
    assert found == {"network_calls": 19, "gradient_calls": 0}


def test_a_cohort(weights):
    found = restore_cohort(n_records=5, n_samples=2, batch_size=2, weights=weights)
    assert found["n_records"] == 5
    assert found["records_per_minute"] == pytest.approx(300 / found["seconds"])


def test_the_config_measures_every_method():
    part = compose("benchmark").benchmark
    jobs = reconstruction_jobs(part.methods, dict(part.sampling), dict(part.cohort))
    assert {case for name, case in jobs if name == SAMPLERS} == METHODS.keys()
    assert len([case for name, case in jobs if name == COHORT]) == 1
    assert {SAMPLERS, COHORT} <= set(part.parts)
