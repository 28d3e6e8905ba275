"""RhythmDiff's `checkpoint.pkl` in the scripts, with the golden files' weights, which are at random."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from einthoven.ecg.leads import NINE_LEADS
from einthoven.run.files import write_json
from preprocessing.cohorts.simulator import simulate_store
from reconstruction.samplers.spec import SamplerSpec
from tests.paths import GOLDEN
from tests.scripts import run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A checkpoint as RhythmDiff's training pickles it, and a store and noise to use it on."""
    golden = GOLDEN / "sashimi_conditional_state.safetensors"
    if not golden.is_file():
        pytest.skip("needs ../shared/golden")
    root = tmp_path_factory.mktemp("published")
    torch.save({"model_state_dict": load_file(golden)}, root / "checkpoint.pkl")
    simulate_store(root / "store", 3, 100, 10.0)
    rng = np.random.default_rng(0)
    names = [f"{noise}_{half}" for noise in ("bw", "em", "ma") for half in ("fit", "test")]
    (root / "noise").mkdir()
    np.savez(root / "noise" / "noise.npz", **{name: rng.standard_normal((2, 3000)).astype("f4") for name in names})
    write_json(root / "noise" / "manifest.json", {"name": "nstdb", "sampling_rate": 100.0})
    return root


SCRIPTS = {
    "inpaint: mgps": (
        "inpaint",
        [
            "algo=mgps",
            "algo.sampler.gradients.n_early_steps=1",
            "algo.sampler.n_steps=2",
            "algo.missingness_type=bm",
            "dataset.segment_length=256",
        ],
    ),
    "inpaint: whole records": ("inpaint", ["algo=decoupled", "algo.sampler.n_steps=2", "published_offset=true"]),
    "inpaint: demo": (
        "inpaint",
        ["algo=ddnm", "algo.sampler.n_steps=2", "data=demo", "data.duration=3", "precision=bf16"],
    ),
    "denoise": (
        "denoise",
        [
            "denoising.snr_db=0",
            "algo.sampler.n_rounds=1",
            "algo.sampler.early.n_steps=2",
            "algo.sampler.final.n_steps=2",
        ],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_take_a_published_checkpoint(name, published, tmp_path):
    script, overrides = SCRIPTS[name]
    overrides = [
        *overrides,
        f"checkpoint={published / 'checkpoint.pkl'}",
        f"{script}.results_path={tmp_path / 'run'}",
        "algo.n_samples=2",
        "n_threads=1",
        f"dataset.store={published / 'store'}",
        "dataset.split=train",
        "dataset.n_records=1",
    ]
    if script == "denoise":
        overrides.append(f"denoising.noise_path={published / 'noise'}")
    done = run_script(f"reconstruction.{script}", *overrides)
    assert done.returncode == 0, done.stderr
    if "data=demo" in overrides:
        with np.load(tmp_path / "run" / "reconstruction.npz", allow_pickle=False) as file:
            samples = file["samples"]
    else:
        samples = np.load(tmp_path / "run" / "samples.npy")
        length = 256 if "dataset.segment_length=256" in overrides else 1000
        assert samples.shape == (1, 2, 12, length)
    assert np.isfinite(samples).all()
    one, two, three = samples.swapaxes(-2, 0)[:3]
    # The store's samples, which are kept where they were measured, are rounded to 0.001 mV.
    np.testing.assert_allclose(three, two - one, rtol=0, atol=2e-3 + 1e-6 * np.abs(samples).max())


@pytest.mark.parametrize("script", ["inpaint", "denoise"])
def test_scripts_refuse_the_amortised_sampler_before_any_work(script, published, tmp_path):
    overrides = [
        "algo=amortised",
        f"checkpoint={published / 'checkpoint.pkl'}",
        f"{script}.results_path={tmp_path / 'run'}",
    ]
    done = run_script(f"reconstruction.{script}", *overrides, "n_threads=1", "data=demo")
    assert done.returncode == 2
    assert "algo=decoupled" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_workers_take_a_published_checkpoint(published):
    config = {"checkpoint": str(published / "checkpoint.pkl"), "published_offset": True, "conjugate_pairs": False}
    config |= {"precision": "float32", "compile": False, "algo": {"name": "ddnm", "sampler": {"n_steps": 2}}}
    sampler = pickle.loads(pickle.dumps(SamplerSpec.from_config(config))).build("cpu")
    assert sampler.leads == NINE_LEADS
    assert sampler.denoiser.schedule.published_offset
