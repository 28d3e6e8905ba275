import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diffusion_prior import generation
from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.generation import GenerationSettings, generate_ecgs, store_scale
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_matrix
from einthoven.ecg.statements import encode
from preprocessing.store.store import Store
from tests.diffusion_prior.test_rhythmdiff_checkpoint import GOLDEN, pickled
from tests.diffusion_prior.training.test_objective import TINY, TINY_SASHIMI
from tests.scripts import run_script


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
    (first,) = tmp_path.glob("000000-*.npy")
    np.save(first, np.full((1, 12, 64), 7, dtype=np.float32))
    x = generate_ecgs(denoiser, labels, [1, 2], settings, tmp_path)
    assert (x[0] == 7).all() and not (x[1] == 7).any()


def test_chunks_of_beats_that_were_moved_in_another_way_are_drawn_again(tmp_path, monkeypatch):
    torch.manual_seed(0)
    prior = build_denoiser({**TINY, "covariates": ["rr_mean", "rr_sd"]}).eval().requires_grad_(False)
    settings, labels = GenerationSettings(n_steps=2, length=64), np.zeros((1, 71), dtype=np.float32)
    told = np.array([[0.8, 0.02]], dtype=np.float32)
    for covariates, n_files in ((None, 1), (told, 2), (told, 2)):
        generate_ecgs(prior, labels, [1], settings, tmp_path, covariates)
        assert len(list(tmp_path.glob("000000-*.npy"))) == n_files
    monkeypatch.setattr(generation, "MOVING", {"redrawn_sigma": 0.1})
    for covariates, n_files in ((None, 2), (told, 3)):
        generate_ecgs(prior, labels, [1], settings, tmp_path, covariates)
        assert len(list(tmp_path.glob("000000-*.npy"))) == n_files


def test_a_third_limb_lead_agrees_with_the_others(tmp_path):
    torch.manual_seed(0)
    denoiser = build_denoiser({**TINY_SASHIMI, "record_length": 60}).eval().requires_grad_(False)
    labels = np.stack([encode(["SR"])] * 2)
    settings = GenerationSettings(sampler="ddpm", n_steps=5, length=60 + 4, guidance_scale=2.0)
    x = generate_ecgs(denoiser, labels, [1, 2], settings, tmp_path / "a")
    assert x.shape == (2, 12, 64) and np.isfinite(x).all() and x.std() > 0
    one, two = x[:, :1], x[:, 1:2]
    derived = np.concatenate([two - one, -(one + two) / 2, one - two / 2, two - one / 2], axis=1)
    np.testing.assert_allclose(x[:, 2:6], derived, atol=2e-6 * np.abs(x).max())


def test_what_a_prior_cannot_draw_is_refused_before_any_work(tmp_path):
    denoiser = build_denoiser({**TINY_SASHIMI, "unconditional": True})
    labels = np.zeros((1, 71), dtype=np.float32)
    with pytest.raises(ValueError, match="n_steps is at most that, not 1001"):
        generate_ecgs(denoiser, labels, [1], GenerationSettings(n_steps=1001), tmp_path)
    with pytest.raises(ValueError, match="trained without labels"):
        generate_ecgs(denoiser, labels + 1, [1], GenerationSettings(), tmp_path)


def test_the_scale_of_a_store_is_the_usual_one_but_for_a_prior_that_fails():
    assert store_scale(np.array([-3.0, 2.0], dtype=np.float32)) == 1000
    assert store_scale(np.array([-300.0, 2.0], dtype=np.float32)) == 32767 / 300
    with pytest.raises(ValueError, match="training has failed"):
        store_scale(np.array([np.nan, 2.0], dtype=np.float32))


def test_unknown_sampler_is_refused():
    with pytest.raises(ValueError, match="known are multistep"):
        GenerationSettings(sampler="euler")


def run(*arguments):
    return run_script("diffusion_prior.generate", *arguments)


@pytest.mark.slow
def test_script_writes_a_store_and_a_picture(denoiser, tmp_path):
    save_denoiser(tmp_path / "weights.safetensors", denoiser)
    done = run(
        f"checkpoint={tmp_path}/weights.safetensors", "generate.labels=[LVH,SR]", "generate.n_ecgs=2",
        "generate.n_steps=2", f"generate.results_path={tmp_path}/run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = Store.open(tmp_path / "run" / "store")
    assert len(store) == 2 and store.leads == LEADS
    assert list(store.table["statements"][0]) == ["LVH", "SR"]
    assert (tmp_path / "run" / "ecg.png").stat().st_size > 10_000


def test_unknown_statement_names_near_ones():
    done = run("generate.labels=[AFIBB]")
    assert done.returncode == 2
    assert "AFIB" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_script_draws_from_a_published_checkpoint(tmp_path, kind):
    if not GOLDEN.is_dir():
        pytest.skip("needs the golden files beside the repository")
    file = pickled(tmp_path / "checkpoint.pkl", load_file(GOLDEN / f"sashimi_{kind}_state.safetensors"))
    statements = "[SR]" if kind == "conditional" else "[]"
    done = run(
        f"checkpoint={file}", f"generate.labels={statements}", "generate.n_ecgs=2", "generate.n_steps=3",
        "generate.sampler=ddpm", "generate.length=1000", f"generate.results_path={tmp_path}/run",
        "published_offset=true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = Store.open(tmp_path / "run" / "store")
    x = store.read([0, 1])
    assert x.shape == (2, 12, 1000) and store.leads == LEADS and x.std() > 0
    np.testing.assert_allclose(x[:, 2], x[:, 1] - x[:, 0], atol=2 / store.units_per_mv)
    assert store.units_per_mv < 1000 and "the prior is not trained" in done.stdout
    assert store.manifest["weights"]["published"] and not store.manifest["weights"]["conjugate_pairs"]
    if kind == "unconditional":
        refused = run(f"checkpoint={file}", "generate.labels=[SR]", f"generate.results_path={tmp_path}/other")
        assert refused.returncode == 2 and "trained without labels" in refused.stderr
        assert not (tmp_path / "other").exists()


def test_settings_of_published_weights_are_refused_for_the_bundled_ones(tmp_path):
    for setting in ("published_offset=true", "conjugate_pairs=true"):
        done = run("generate.labels=[SR]", setting, f"generate.results_path={tmp_path}/run")
        assert done.returncode == 2 and "is for a SaShiMi" in done.stderr
    assert not (tmp_path / "run").exists()
