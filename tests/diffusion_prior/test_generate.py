import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.generation import GenerationSettings, generate_ecgs
from preprocessing.leads import INDEPENDENT_LEADS, LEADS, lead_matrix
from preprocessing.statements import encode
from preprocessing.store import Store
from tests.diffusion_prior.test_objective import TINY

from ..scripts import run_script


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(0)
    return build_denoiser(TINY).eval().requires_grad_(False)


def test_ecgs_belong_to_their_keys_and_obey_einthoven(denoiser, tmp_path):
    settings = GenerationSettings(n_steps=3, length=128, batch_size=2)
    labels = np.stack([encode(["SR"])] * 5)
    x = generate_ecgs(denoiser, labels, [1, 2, 3, 4, 5], settings, tmp_path / "a")
    again = generate_ecgs(denoiser, labels[:2], [4, 5], settings, tmp_path / "b")
    np.testing.assert_allclose(x[3:], again, atol=1e-5)
    eight = x[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]]
    np.testing.assert_allclose(x, lead_matrix(LEADS) @ eight, atol=1e-5)


def test_finished_chunks_are_not_drawn_again(denoiser, tmp_path):
    settings = GenerationSettings(n_steps=2, length=64, batch_size=1)
    labels = np.zeros((2, 71), dtype=np.float32)
    generate_ecgs(denoiser, labels, [1, 2], settings, tmp_path)
    np.save(tmp_path / "00000000.npy", np.full((1, 12, 64), 7, dtype=np.float32))
    x = generate_ecgs(denoiser, labels, [1, 2], settings, tmp_path)
    assert (x[0] == 7).all() and not (x[1] == 7).any()


def test_unknown_sampler_is_refused():
    with pytest.raises(ValueError, match="known are multistep"):
        GenerationSettings(sampler="euler")


def run(*arguments):
    return run_script("diffusion_prior.generate", *arguments)


@pytest.mark.slow
def test_script_writes_a_store_and_a_picture(denoiser, tmp_path):
    save_denoiser(tmp_path / "weights.safetensors", denoiser)
    done = run(
        f"checkpoint={tmp_path}/weights.safetensors", "generate.labels=[AFIB,SR]", "generate.n_ecgs=2",
        "generate.n_steps=2", f"generate.results_path={tmp_path}/run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = Store.open(tmp_path / "run" / "store")
    assert len(store) == 2 and store.leads == LEADS
    assert list(store.table["statements"][0]) == ["AFIB", "SR"]
    assert (tmp_path / "run" / "ecg.png").stat().st_size > 10_000


def test_unknown_statement_names_near_ones():
    done = run("generate.labels=[AFIBB]")
    assert done.returncode == 2
    assert "AFIB" in done.stderr and "Traceback" not in done.stderr
