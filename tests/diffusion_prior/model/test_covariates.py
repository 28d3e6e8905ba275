"""Age, sex and rhythm as conditions of the prior."""

import math

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, load_denoiser, save_denoiser, take_weights
from diffusion_prior.model.covariates import COVARIATES, check_covariates, encode_covariates, measure_rhythm
from diffusion_prior.model.denoiser import ConditionalDenoiser, Conditions
from diffusion_prior.training.data import TrainingData, WeightedStore
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from einthoven.ecg.leads import INDEPENDENT_LEADS
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from tests.diffusion_prior.training.test_objective import NONE, TINY, TINY_SASHIMI

NAMES = ("age", "sex", "rr_mean", "rr_sd")
TOLD = {**TINY, "covariates": list(NAMES)}


def moved(denoiser):
    """Gives weights that start at zero some values, as training does."""
    with torch.no_grad():
        for weight in denoiser.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    return denoiser.eval()


def test_what_is_not_known_is_zero_and_said_to_be_so():
    values = torch.tensor([[60.0, 1.0], [torch.nan, 0.0], [300.0, torch.nan]])
    expected = [[0, 1, 1, 1], [0, -1, 0, 1], [1.5, 0, 1, 0]]
    torch.testing.assert_close(encode_covariates(("age", "sex"), values), torch.tensor(expected))
    with pytest.raises(ValueError, match="age, sex; got 3"):
        encode_covariates(("age", "sex"), torch.zeros(1, 3))


def test_names_are_checked():
    assert check_covariates(COVARIATES) == NAMES
    for names in (["height"], ["age", "age"]):
        with pytest.raises(ValueError, match="some of age, sex, rr_mean, rr_sd"):
            check_covariates(names)


def test_a_denoiser_says_what_it_can_be_told():
    torch.manual_seed(0)
    told, plain = moved(build_denoiser(TOLD)), moved(build_denoiser(TINY))
    assert told.covariates == NAMES and plain.covariates == () and build_denoiser(TINY_SASHIMI).covariates == ()
    x_t, t = torch.randn(2, 8, 64), torch.tensor(0.5)
    known = torch.tensor([[50.0, 0.0, 0.8, 0.03], [50.0, torch.nan, torch.nan, torch.nan]])
    with torch.no_grad():
        unknown = told(x_t, t, Conditions(covariates=torch.full((2, 4), torch.nan)))
        assert torch.equal(told(x_t, t), unknown)
        x = told(x_t, t, Conditions(covariates=known))
        assert (x - unknown).abs().amax(dim=(1, 2)).min() > 1e-6
        one = ConditionalDenoiser(told, Conditions(covariates=known[1]))
        torch.testing.assert_close(one(x_t.expand(3, 2, 8, 64), t)[2, 1], x[1])
    for other in (plain, build_denoiser(TINY_SASHIMI)):
        with pytest.raises(ValueError, match="covariates|cannot be told"):
            other(torch.zeros(2, len(other.leads), 64), t, Conditions(covariates=known))


def test_weights_without_conditions_serve_a_network_with_them_unchanged(tmp_path):
    plain = moved(build_denoiser(TINY))
    save_denoiser(tmp_path / "weights.safetensors", plain)
    told = build_denoiser(TOLD)
    take_weights(told, tmp_path)
    x_t, t, known = torch.randn(2, 8, 64), torch.tensor(0.5), torch.ones(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(told.eval()(x_t, t, Conditions(covariates=known)), plain(x_t, t))
    save_denoiser(tmp_path / "weights.safetensors", moved(told))
    again = load_denoiser(tmp_path)
    assert again.covariates == NAMES
    with torch.no_grad():
        assert torch.equal(again(x_t, t, Conditions(covariates=known)), told(x_t, t, Conditions(covariates=known)))
    for spec in (TINY, {**TINY, "covariates": ["rr_sd", "rr_mean", "sex", "age"]}):
        with pytest.raises(ValueError, match="of another network"):
            take_weights(build_denoiser(spec), tmp_path)


def test_each_condition_is_hidden_for_itself():
    objective = DenoisingObjective(build_denoiser(TOLD), NoiseLevels(), ObservationPatterns(), covariate_dropout=0.4)
    batch = {"x": torch.zeros(2000, 8, 8), "label": torch.zeros(2000, 71), "covariates": torch.ones(2000, 4)}
    hidden = objective.draw(batch, torch.Generator().manual_seed(0))["covariates"].isnan()
    assert (hidden.float().mean(dim=0) - 0.4).abs().max() < 0.05
    assert abs(float((hidden[:, 0] & hidden[:, 1]).float().mean()) - 0.16) < 0.03


def test_batches_tell_age_sex_and_the_rhythm_of_whole_records(tmp_path):
    store = simulate_store(tmp_path / "store", n_records=12)
    table = store.table.assign(age=[40.0 + k for k in range(12)], sex=[np.nan, 1.0] * 6)
    store = type(store)(store.path, store.signals, table, store.manifest)
    generator = torch.Generator().manual_seed(0)
    data = TrainingData([WeightedStore(store)], INDEPENDENT_LEADS, NONE, (1000,), covariates=NAMES)
    told = data.batch(20, generator)["covariates"]
    assert told.shape == (20, 4) and told.dtype == torch.float32
    assert set(told[:, 0].tolist()) <= set(table["age"])
    assert ((told[:, 1] == 1) == (told[:, 0] % 2 == 1)).all() and not told[:, 2:].isnan().any()
    short = TrainingData([WeightedStore(store)], INDEPENDENT_LEADS, NONE, (256,), covariates=NAMES).batch(4, generator)
    assert short["covariates"][:, 2:].isnan().all() and not short["covariates"][:, 0].isnan().any()
    assert "covariates" not in TrainingData([WeightedStore(store)], lengths=(256,)).batch(4, generator)


@pytest.mark.parametrize("rate", [50, 75, 120])
def test_the_rhythm_is_that_of_the_beats(rate):
    period = 60 / rate
    irregular = np.array([1.0, 1.2, 0.8, 1.1, 0.9] * 6) * period
    for intervals, sd in ((np.full(30, period), 0.0), (irregular, irregular.std())):
        beats = np.cumsum(intervals)
        beats = beats[beats < 9.8]
        time = np.arange(1000) / 100
        wave = sum(np.exp(-0.5 * ((time - beat) / 0.02) ** 2) for beat in beats)
        wave = wave + 0.2 * sum(np.exp(-0.5 * ((time - beat - 0.25) / 0.06) ** 2) for beat in beats)  # T waves
        mean, found = measure_rhythm(np.stack([wave, -0.3 * wave]).astype(np.float32), 100)
        assert mean == pytest.approx(np.diff(beats).mean(), abs=0.01)
        assert found == pytest.approx(np.diff(beats).std() if sd else 0.0, abs=0.01)


def test_no_rhythm_is_measured_where_there_are_no_beats():
    assert all(math.isnan(value) for value in measure_rhythm(np.zeros((8, 1000), np.float32), 100))
    ecg = simulate_ecg(1, 100)[0].astype(np.float32)
    assert all(math.isnan(value) for value in measure_rhythm(ecg[:, :500], 100))
