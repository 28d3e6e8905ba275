import numpy as np
import pytest
import torch

from diffusion_prior.randomness import randn
from preprocessing.filters import clean_signal, resample
from preprocessing.leads import LEADS
from preprocessing.synthetic import simulate_ecg
from reconstruction import reconstruct
from reconstruction.mgps import MGPS, GradientSchedule
from reconstruction.posterior_sampler import PosteriorSampler

DURATION = 3.0


class Perfect(PosteriorSampler):
    """Knows the truth, at the prior's rate, and adds a little noise of each sample's own."""

    network_calls = 1

    def __init__(self, twelve):
        super().__init__(None)
        self.inner = torch.from_numpy(twelve[[0, 1, 6, 7, 8, 9, 10, 11]]).float()

    def __call__(self, likelihood, n_samples, generator):
        return self.inner + 0.01 * randn((n_samples, 1, *self.inner.shape), generator)


@pytest.mark.parametrize("rate", [100, 250, 360, 500, 1000])
def test_returns_the_callers_rate_and_length(rate):
    ecg = simulate_ecg(1, rate, DURATION, seed=2)[0].astype(np.float64)
    clean = clean_signal(ecg, rate, 100)
    result = reconstruct(ecg[:1], rate, ["I"], 4, sampler=Perfect(clean))
    assert result.samples.shape == (4, 12, round(DURATION * rate))
    assert result.mean.shape == result.lower.shape == result.upper.shape == result.observed.shape == ecg.shape
    assert result.leads == LEADS
    assert result.sampling_rate == rate
    expected = resample(clean, 100, rate, ecg.shape[-1])
    assert np.abs(result.mean - expected).max() < 0.05
    np.testing.assert_allclose(result.samples[:, 0], expected[[0]].repeat(4, 0), atol=1e-5)
    assert (result.lower <= result.mean + 1e-6).all()
    assert (result.mean <= result.upper + 1e-6).all()
    assert result.observed[0].all()
    assert not result.observed[1:].any()


def test_lead_order_and_case_do_not_matter(tiny_weights):
    ecg = simulate_ecg(1, 250, DURATION, seed=2)[0].astype(np.float64)
    first = reconstruct(ecg[[0, 8, 1]], 250, ["I", "V3", "II"], 2, weights=tiny_weights)
    second = reconstruct(ecg[[8, 1, 0]], 250, ["v3", "ii", "i"], 2, weights=tiny_weights)
    np.testing.assert_allclose(first.samples, second.samples, atol=1e-5)
    assert np.array_equal(first.observed, second.observed)
    assert first.observed.all(axis=-1).tolist() == [True] * 6 + [lead == "V3" for lead in LEADS[6:]]


def test_einthovens_law_holds(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0].astype(np.float64)
    samples = reconstruct(ecg[:1], 100, ["I"], 3, weights=tiny_weights).samples
    np.testing.assert_allclose(samples[:, 2], samples[:, 1] - samples[:, 0], atol=1e-5)
    np.testing.assert_allclose(samples[:, 3:6].sum(axis=1), 0, atol=1e-5)


def test_gaps_are_restored_and_the_rest_is_kept(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0].astype(np.float64)[:2]
    ecg[:, 100:150] = np.nan
    result = reconstruct(ecg, 100, ["I", "II"], 3, weights=tiny_weights)
    kept = np.r_[0:100, 150:300]
    assert result.observed[:6, kept].all()
    assert not result.observed[:, 100:150].any()
    expected = clean_signal(ecg, 100, 100)[:, kept]
    np.testing.assert_allclose(result.samples[:, :2, kept], expected[None].repeat(3, 0), atol=1e-5)
    assert (result.upper - result.lower)[0, 100:150].min() > 0
    assert np.isfinite(result.samples).all()


def test_seed_and_key_choose_the_samples(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)

    def draw(**choice):
        return reconstruct(ecg, 100, ["I"], 2, weights=tiny_weights, **choice).samples

    assert np.array_equal(draw(), draw())
    assert not np.array_equal(draw(), draw(seed=1))
    assert not np.array_equal(draw(), draw(key="other"))


def test_mgps_takes_any_lead_where_amortised_refuses(tiny_weights, tiny_denoiser):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, 2:3].astype(np.float64)
    with pytest.raises(ValueError, match='method="mgps"'):
        reconstruct(ecg, 100, ["III"], 2, weights=tiny_weights)
    sampler = MGPS(tiny_denoiser, 3, GradientSchedule(1, 1, 0))
    result = reconstruct(ecg, 100, ["III"], 2, "mgps", sampler=sampler)
    assert result.observed.all(axis=-1).tolist() == [lead == "III" for lead in LEADS]
    assert (result.network_calls, result.gradient_calls) == (7, 3)


def test_mistakes_are_told(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    with pytest.raises(ValueError, match="did you mean 'mgps'"):
        reconstruct(ecg, 100, method="MGPS ", weights=tiny_weights)
    with pytest.raises(ValueError, match="at least 2 samples"):
        reconstruct(ecg, 100, n_samples=1, weights=tiny_weights)
    with pytest.raises(ValueError, match="no weights"):
        reconstruct(ecg, 100, weights="nowhere.safetensors")


def test_result_is_frozen(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    result = reconstruct(ecg, 100, n_samples=2, weights=tiny_weights)
    assert result.network_calls == 19
    assert result.seconds > 0
    with pytest.raises(AttributeError):
        result.seconds = 0.0
