from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from einthoven.ecg.filters import clean_signal, resample
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from einthoven.ecg.reading import read
from einthoven.randomness import randn
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction import reconstruct
from reconstruction.api import denoise
from reconstruction.measurement.noise_start import NOISE_NAMES, NOISES
from reconstruction.measurement.operators import MeasuredLeads
from reconstruction.method_choice import build_sampler, choose_method
from reconstruction.result import POINT_ESTIMATES as MIDDLES
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.base import Calls, Draws, PosteriorSampler
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.fourier_em import FourierEM
from reconstruction.samplers.mgps import MGPS, GradientSchedule
from reconstruction.samplers.registry import BLIND_METHODS
from reconstruction.samplers.spec import ALL_METHODS
from reconstruction.samplers.spectral_em import SpectralEM
from tests.gaussian import GaussianDenoiser

DURATION = 3.0


class Perfect(PosteriorSampler):
    """Knows the truth, at the prior's rate, and adds a little noise of each sample's own."""

    def __init__(self, twelve):
        super().__init__(GaussianDenoiser(torch.zeros(8, 1), torch.eye(8), None))
        self.inner = torch.from_numpy(twelve[[0, 1, 6, 7, 8, 9, 10, 11]]).float()

    def __call__(self, likelihood, n_samples, generator):
        samples = self.inner + 0.01 * randn((n_samples, 1, *self.inner.shape), generator)
        return Draws(samples, samples.mean(dim=0), Calls(network=1))


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


@pytest.mark.parametrize(
    ("leads", "rate", "gap", "noise", "method"),
    [
        (["I"], 500, False, None, "amortised"),
        (["I", "II"], 500, True, None, "decoupled"),
        (["I"], 50, False, None, "decoupled"),
        (LEADS, 500, False, "em", "spectral_em"),
        (["III", "aVF", *LEADS[6:]], 500, True, "em", "spectral_em"),
        (["I", "V2"], 500, False, "auto", "amortised"),
        (["I"], 50, False, "auto", "spectral_em"),
        (["III", "aVF"], 500, False, None, "amortised"),
        (["III", "aVF"], 500, True, "em", "spectral_em"),
        (["II", "aVF"], 500, True, "em", "spectral_em"),
        (["aVF", "II"], 500, True, "em", "amortised"),
        (["aVR", "V1"], 500, False, None, "decoupled"),
        (["aVR", "V1", "V2"], 500, False, "em", "spectral_em"),
        *([[lead], 500, False, None, "decoupled"] for lead in LEADS[2:6]),
        *([[lead], 500, False, "auto", "spectral_em"] for lead in LEADS[2:6]),
        *([[lead], 500, False, None, "amortised"] for lead in INDEPENDENT_LEADS),
        *([[lead], 500, False, "auto", "amortised"] for lead in INDEPENDENT_LEADS),
    ],
)
def test_the_method_that_is_taken_where_none_is_named(leads, rate, gap, noise, method):
    ecg = np.zeros((len(leads), 1500))
    ecg[0, :100] = np.nan if gap else 0.0
    assert choose_method(ecg, rate, leads, noise) == method


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
    with pytest.raises(ValueError, match='method="decoupled"'):
        reconstruct(ecg, 100, ["III"], 2, "amortised", weights=tiny_weights)
    sampler = MGPS(tiny_denoiser, 3, GradientSchedule(1, 1, 0))
    result = reconstruct(ecg, 100, ["III"], 2, "mgps", sampler=sampler)
    assert result.observed.all(axis=-1).tolist() == [lead == "III" for lead in LEADS]
    assert (result.network_calls, result.gradient_calls) == (7, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "MGPS "}, "did you mean 'mgps'"),
        ({"method": "spectral"}, "did you mean 'spectral_em'"),
        ({"method": "spectral_em"}, 'noise is None: say which, noise="bw"'),
        ({"noise": "MA"}, "did you mean 'ma'"),
        ({"noise": "white"}, "unknown noise 'white'"),
        ({"n_samples": 1}, "at least 2 samples"),
        ({"saturation": (2.0, -2.0)}, "limits"),
        ({"saturation": "yes"}, "choose one of auto"),
        ({"ecg": np.full((1, 300), np.nan)}, "all samples are missing"),
        ({"ecg": np.ones((1, 300))}, "flat"),
        ({"ecg": np.sin(np.arange(200) / 5)[None]}, "give a longer piece"),
        ({"sampling_rate": 20}, "50 Hz or more"),
        ({"leads": ["W1"]}, "unknown lead"),
        ({"leads": None}, "leads is missing"),
        ({"sampling_rate": None}, "sampling_rate is missing"),
        ({}, "no weights"),
    ],
)
def test_mistakes_are_told_before_the_weights_are_read(change, message):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    with pytest.raises(ValueError, match=message):
        reconstruct(**({"ecg": ecg, "sampling_rate": 100, "leads": "I", "weights": "nowhere.safetensors"} | change))


def test_a_single_augmented_lead_is_restored_by_the_bundled_weights():
    recording = replace(read(duration=2.5), name="")
    result = reconstruct(recording, leads=["aVF"], n_samples=2)
    assert result.method == "decoupled"
    assert result.observed.all(axis=-1).tolist() == [lead == "aVF" for lead in LEADS]
    kept = clean_signal(recording.signal[5:6], recording.sampling_rate, recording.sampling_rate)
    assert np.abs(result.mean[5] - kept[0]).max() < 0.05


def test_a_recording_is_reconstructed_as_its_array(tiny_weights):
    recording = read(duration=2.5, leads=["I", "V2"])
    result = reconstruct(recording, n_samples=2, weights=tiny_weights)
    arrays = recording.signal, recording.sampling_rate, recording.leads
    same = reconstruct(*arrays, n_samples=2, weights=tiny_weights, key=recording.name)
    np.testing.assert_array_equal(result.samples, same.samples)
    np.testing.assert_array_equal(result.recording.signal, result.mean)
    assert (result.recording.name, result.recording.leads) == (recording.name, LEADS)
    assert result.recording.notes == result.notes
    assert same.recording.name == ""


def test_denoise_is_reconstruct_with_a_noise(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :2].astype(np.float64)
    arguments = {"leads": ["I", "II"], "n_samples": 2, "weights": tiny_weights}
    one, other = denoise(ecg, 100, **arguments), reconstruct(ecg, 100, noise="auto", **arguments)
    np.testing.assert_array_equal(one.samples, other.samples)
    assert one.noise_level is not None


def test_result_is_frozen(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    result = reconstruct(ecg, 100, "I", n_samples=2, weights=tiny_weights)
    assert result.network_calls == 19
    assert result.seconds > 0
    with pytest.raises(AttributeError):
        result.seconds = 0.0


@pytest.mark.parametrize("rate", [50, 75])
def test_lower_rates_keep_what_was_measured(rate):
    whole = simulate_ecg(1, 500, DURATION, seed=2)[0].astype(np.float64)
    slow = resample(whole, 500, rate)
    result = reconstruct(slow[:2], rate, ["I", "II"], 4, sampler=Perfect(clean_signal(whole, 500, 100)))
    n_edge = 3 if rate == 50 else 4
    inside = slice(n_edge, -n_edge)
    assert result.samples.shape == (4, 12, slow.shape[-1])
    assert result.observed[:6, inside].all()
    assert not result.observed[6:].any()
    assert not result.observed[:, :n_edge].any()
    measured = clean_signal(slow[:2], rate, rate)[:, inside]
    np.testing.assert_allclose(result.samples[:, :2, inside], measured[None].repeat(4, 0), atol=1e-5)
    assert np.abs(result.mean - clean_signal(slow, rate, rate))[:, inside].max() < 0.08


def test_lower_rates_need_a_method_that_takes_them(tiny_weights, tiny_denoiser):
    ecg = simulate_ecg(1, 50, DURATION, seed=2)[0, :1].astype(np.float64)
    with pytest.raises(ValueError, match="below the prior's 100 Hz.*'mgps'"):
        reconstruct(ecg, 50, "I", n_samples=2, method="amortised", weights=tiny_weights)
    sampler = MGPS(tiny_denoiser, 2, GradientSchedule(1, 1, 0))
    result = reconstruct(ecg, 50, "I", n_samples=2, method="mgps", sampler=sampler)
    assert result.samples.shape == (2, 12, 150)


def test_saturated_peaks_go_beyond_the_limit():
    whole = simulate_ecg(1, 500, DURATION, seed=2)[0].astype(np.float64)
    height = 0.5 * whole[1].max()
    clipped = whole[1:2].clip(max=height)
    assert (clipped == height).any()
    for saturation in ("auto", (-9.0, height)):
        result = reconstruct(
            clipped, 500, ["II"], 3, sampler=Perfect(clean_signal(whole, 500, 100)), saturation=saturation
        )
        restored, truth = result.mean[1], clean_signal(whole, 500, 500)[1]
        cut = clean_signal(clipped, 500, 500)[0]
        assert not result.observed[1, clipped[0] == height].any()
        assert result.observed[1].mean() > 0.8
        assert np.abs(restored - truth).max() < 0.5 * np.abs(cut - truth).max()


@pytest.mark.parametrize(
    ("method", "rate"), [("amortised", 250), ("spectral_em", 100), ("fourier_em", 250), ("mgps", 50)]
)
def test_missing_leads_gaps_and_noise_in_one_call(method, rate, tiny_weights, monkeypatch):
    quick = partial(DDNM, n_steps=2)
    one_round = partial(SpectralEM, n_rounds=1, early=quick)
    quick_ones = {
        "mgps": partial(MGPS, n_steps=2),
        "ddnm": quick,
        "spectral_em": one_round,
        "fourier_em": partial(FourierEM, n_rounds=2, n_frequencies=32, inner=quick),
    }
    for name, make in quick_ones.items():
        monkeypatch.setitem(ALL_METHODS.places, name, make)
    rng = np.random.default_rng(0)
    ecg = simulate_ecg(1, rate, DURATION, seed=2)[0, [0, 1, 2, 7]].astype(np.float64)
    ecg[[0, 1, 3]] += 0.3 * rng.standard_normal((3, ecg.shape[-1]))
    ecg[2] = ecg[1] - ecg[0]
    ecg[3, rate : rate + rate // 2] = np.nan
    result = reconstruct(ecg, rate, ["I", "II", "III", "V2"], 2, method, noise="ma", weights=tiny_weights)
    assert result.samples.shape == (2, 12, ecg.shape[-1])
    assert np.isfinite(result.samples).all()
    assert not result.observed.any()
    # The noise of lead III is that of I and II.
    assert np.isfinite(result.noise_level).tolist() == [lead in ("I", "II", "V2") for lead in LEADS]
    assert "muscle artefact" in result.notes[-1]
    assert "0.50 s missing" in " ".join(result.notes)
    assert result.method == method
    assert result.network_calls > 0
    np.testing.assert_allclose(result.samples[:, 2], result.samples[:, 1] - result.samples[:, 0], atol=1e-5)


def test_every_type_of_noise_has_words():
    assert set(NOISE_NAMES) == set(NOISES)


def test_samplers_that_estimate_noise(tiny_weights):
    assert isinstance(build_sampler("amortised", tiny_weights, blind=True), AmortisedSampler)
    sampler = build_sampler("mgps", tiny_weights, blind=True)
    assert isinstance(sampler, SpectralEM)
    assert isinstance(sampler.final, MGPS)
    assert isinstance(build_sampler("mgps", tiny_weights), MGPS)
    for method in BLIND_METHODS:
        assert isinstance(build_sampler(method, tiny_weights), BLIND_METHODS[method])


def test_clean_recordings_have_no_noise_level(tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    assert reconstruct(ecg, 100, "I", n_samples=2, weights=tiny_weights).noise_level is None


def test_the_method_of_a_sampler_is_reported(tiny_denoiser, tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    assert reconstruct(ecg, 100, "I", n_samples=2, sampler=DDNM(tiny_denoiser, n_steps=2)).method == "ddnm"
    assert reconstruct(ecg, 100, "I", n_samples=2, weights=tiny_weights).method == "amortised"
    clean = clean_signal(np.repeat(ecg, 12, axis=0), 100, 100)
    assert reconstruct(ecg, 100, "I", n_samples=2, sampler=Perfect(clean)).method == "Perfect"
    with pytest.raises(ValueError, match="estimates noise, but noise is None"):
        reconstruct(ecg, 100, "I", n_samples=2, sampler=SpectralEM(tiny_denoiser))


def test_the_fast_preset_makes_eight_calls_and_is_for_amortised(tiny_denoiser, tiny_weights):
    ecg = simulate_ecg(1, 100, DURATION, seed=2)[0, :1].astype(np.float64)
    assert reconstruct(ecg, 100, "I", n_samples=2, weights=tiny_weights, preset="fast").network_calls == 8
    fastest = {"preset": "fastest"}  # whose weights know no noise, and are not these
    own = {"sampler": DDNM(tiny_denoiser, n_steps=2)}
    for wrong in ({"method": "mgps"}, own, {"preset": "quick"}, fastest, fastest | {"noise": "bw"}):
        with pytest.raises(ValueError, match="preset"):
            reconstruct(ecg, 100, "I", n_samples=2, weights=tiny_weights, **{"preset": "fast"} | wrong)


@pytest.mark.parametrize("leads", [["I"], ["I", "II", "V2"]])
def test_the_operator_of_a_recording_is_built_once(leads, tiny_weights, monkeypatch):
    built, build = [], MeasuredLeads.__init__
    monkeypatch.setattr(MeasuredLeads, "__init__", lambda self, *args: (built.append(self), build(self, *args))[1])
    ecg = simulate_ecg(1, 250, DURATION, seed=2)[0, : len(leads)].astype(np.float64)
    reconstruct(ecg, 250, leads, 2, weights=tiny_weights)
    assert len(built) == 1


def test_median_or_mean(tiny_denoiser):
    ecg, sampler = simulate_ecg(1, 100, DURATION, seed=2)[0], AmortisedSampler(tiny_denoiser, n_steps=2)
    mean, median = (reconstruct(ecg[:1], 100, ["I"], 3, sampler=sampler, point_estimate=name) for name in MIDDLES)
    np.testing.assert_array_equal(mean.samples, median.samples)
    np.testing.assert_array_equal(median.mean, np.median(median.samples, axis=0))
    assert not np.array_equal(mean.mean, median.mean)
    with pytest.raises(ValueError, match="unknown point_estimate 'mode'"):
        reconstruct(ecg[:1], 100, ["I"], 3, sampler=sampler, point_estimate="mode")
