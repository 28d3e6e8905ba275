"""Amplitudes of generated ECGs: the gains are those of the records, weights keep them, and draws have them."""

import numpy as np
import pytest
import torch

from diffusion_prior.amplitudes import fit_amplitudes, mean_gains
from diffusion_prior.checkpoint import add_facts, build_denoiser, load_denoiser, save_denoiser
from diffusion_prior.generation import AMPLITUDES, GenerationSettings, draw_ecgs
from diffusion_prior.rhythms import fit_rhythms
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_matrix
from preprocessing.cohorts.simulator import simulate_store
from preprocessing.store.store import Store
from tests.diffusion_prior.training.test_objective import TINY
from tests.scripts import run_script


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_denoiser(path, build_denoiser({**TINY, "covariates": ["age", "rr_mean", "rr_sd"]}), {"steps": 3})
    return path


def test_gains_are_geometric_means_over_records_of_the_ratio_of_amplitudes():
    real = np.random.default_rng(0).standard_normal((3, 2, 200)).astype(np.float32)
    generated = real / np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]], dtype=np.float32)[..., None]
    np.testing.assert_allclose(mean_gains(real, generated), 2.0, rtol=1e-5)
    real[0, 0] = 0.7  # flat: the record does not count
    np.testing.assert_allclose(mean_gains(real, generated), [8**0.5, 2.0], rtol=1e-5)
    with pytest.raises(ValueError, match="a lead is flat"):
        mean_gains(real, np.zeros_like(real))


def test_leads_of_drawn_ecgs_are_multiplied_by_what_weights_hold(weights, tmp_path):
    gains, settings = {"I": 1.5, "V3": 2.0}, GenerationSettings(n_steps=2, length=128)
    add_facts(weights, tmp_path / "with.safetensors", {AMPLITUDES: gains})
    labels, drawn = np.zeros((1, 71), dtype=np.float32), []
    for path in (weights, tmp_path / "with.safetensors"):
        drawn.append(draw_ecgs(load_denoiser(path), labels, [1], settings)[0])
    eight = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]
    factors = np.array([[gains.get(lead, 1.0)] for lead in INDEPENDENT_LEADS])
    np.testing.assert_allclose(drawn[1], lead_matrix(LEADS) @ (factors * drawn[0][eight]), rtol=1e-4, atol=1e-4)


def test_script_writes_rhythms_and_the_gains_that_twins_need(weights, tmp_path):
    store = simulate_store(tmp_path / "store", n_records=12, seed=0)
    written = tmp_path / "fitted.safetensors"
    paths = [f"dataset.database_path={store.path}", f"results_path={tmp_path / 'run'}", f"write_to={written}"]
    text = run_script("diffusion_prior.fit_rhythms", f"checkpoint={weights}", "n_twins=3", *paths)
    facts = load_denoiser(written).facts
    assert facts["steps"] == 3 and facts["rhythms"] == fit_rhythms(Store.open(store.path))
    assert list(facts[AMPLITUDES]) == list(INDEPENDENT_LEADS) and min(facts[AMPLITUDES].values()) > 0
    assert "amplitudes times I" in str(text)
    again = fit_amplitudes(load_denoiser(written), store, facts["rhythms"], 3)
    assert again == facts[AMPLITUDES]  # gains that weights hold do not count
