"""Priors with a lead III of its own, as RhythmDiff's, whose noise levels are discrete steps too.

Samplers are tested on a Gaussian prior against the exact posterior, and on a small network for the law of the limb
leads. What is measured of lead III has to say what it says of I and II.
"""

import copy
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.schedule import DiscreteSchedule
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, NINE_LEADS, consistent_matrix, lead_matrix, to_twelve
from einthoven.randomness import record_generators
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction import reconstruct
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.missingness import Missingness
from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise
from reconstruction.measurement.operators import Compose, LeadSelection, Mask, MeasuredLeads, Resampling
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.decoupled import DecoupledSampler
from reconstruction.samplers.mgps import MGPS, GradientSchedule
from reconstruction.samplers.registry import BLIND_METHODS, METHODS
from reconstruction.twelve_leads import sample_twelve_leads
from tests.gaussian import GaussianDenoiser
from tests.reconstruction.samplers import test_ddnm, test_decoupled, test_mgps
from tests.reconstruction.samplers.affine import Problem
from tests.reconstruction.samplers.test_samplers import FEW_STEPS

SAMPLERS = {name: cls for name, cls in (METHODS | BLIND_METHODS).items() if name != "amortised"}
LENGTH = 32
SMALL = ("I", "II", "III", "V1")
"""Leads of the Gaussian prior."""
WITHOUT_III = [0, 1, 3]
LOOSE = {"mgps": 1e-3, "red_diff": 1e-3}


def gaps(n_leads, length=LENGTH):
    return torch.rand(n_leads, length, generator=torch.Generator().manual_seed(1)) < 0.7


def spectrum(n_leads):
    falling = torch.linspace(2, 0.1, LENGTH).square()
    return SpectralNoise((0.05**2 * falling / falling.mean()).expand(n_leads, -1))


MEASUREMENTS = {
    "lead I": (LeadSelection(["I"], NINE_LEADS), 0.02),
    "mask": (MeasuredLeads(gaps(8), INDEPENDENT_LEADS, NINE_LEADS), 0.02),
    "mask that knows no law": (Mask(gaps(9)), 0.02),
    "derived lead alone": (LeadSelection(["aVF"], NINE_LEADS), 0.02),
    "half the rate": (Compose(Resampling(1, 2, LENGTH), LeadSelection(["I", "V5"], NINE_LEADS)), 0.02),
    "noise of each lead": (LeadSelection(["I", "V2"], NINE_LEADS), WhiteNoise(torch.tensor([0.03, 0.1]))),
    "coloured noise": (LeadSelection(["I", "V2"], NINE_LEADS), spectrum(2)),
    "gaps and coloured noise": (MeasuredLeads(gaps(2), ["II", "aVL"], NINE_LEADS), spectrum(2)),
    "III alone": (LeadSelection(["III"], NINE_LEADS), 0.02),
    "aVR alone": (LeadSelection(["aVR"], NINE_LEADS), 0.02),
    "III and V1": (LeadSelection(["III", "V1"], NINE_LEADS), 0.02),
    "all limb leads": (LeadSelection(LEADS[:6], NINE_LEADS), 0.02),
}


class NearGaussian(torch.nn.Module):
    """The noise that is found where ECGs are white and of 0.25 mV, and a small network's in every lead beside it."""

    def __init__(self, network, schedule):
        super().__init__()
        self.network, self.schedule = network, schedule
        self.stride = 1 if isinstance(network, torch.nn.Conv1d) else network.stride

    def forward(self, x, step, label):
        alpha, sigma = (value[:, None, None] for value in self.schedule(self.schedule.time(step)))
        own = self.network(x) if self.stride == 1 else self.network(x, step, label)
        return sigma * x / (alpha**2 * 0.25**2 + sigma**2) + 0.3 * alpha * own


def near_gaussian(network):
    schedule = DiscreteSchedule()
    denoiser = EpsilonDenoiser(NearGaussian(network, schedule), schedule, record_length=None)
    return denoiser.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def quick_prior():
    torch.manual_seed(0)
    return near_gaussian(torch.nn.Conv1d(9, 9, 3, padding=1))


@pytest.fixture(scope="module")
def sashimi():
    torch.manual_seed(0)
    denoiser = build_denoiser({"backbone": {"name": "sashimi", "d_model": 8, "n_layers": 1, "L": 128}})
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return denoiser.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def sashimi_prior(sashimi):
    return near_gaussian(sashimi.backbone)


def misfit(x, leads=NINE_LEADS):
    """By how much III differs from II - I."""
    one, two, three = (x[..., leads.index(lead), :] for lead in ("I", "II", "III"))
    return float(abs(three - (two - one)).max())


def ecgs(n_records=3):
    eight = 0.3 * torch.randn(n_records, 8, LENGTH, generator=torch.Generator().manual_seed(3))
    return LeadSelection(NINE_LEADS)(eight)


def run(sampler, operator, noise, y, keys):
    return sampler(GaussianLikelihood(operator, y, noise), 2, record_generators(0, keys, 2))


@pytest.mark.parametrize("measurement", MEASUREMENTS)
@pytest.mark.parametrize("method", SAMPLERS)
def test_samples_obey_einthovens_law(method, measurement, quick_prior):
    operator, noise = MEASUREMENTS[measurement]
    sampler = SAMPLERS[method](quick_prior, **FEW_STEPS[method][0])
    assert sampler.leads == NINE_LEADS
    draws = run(sampler, operator, noise, operator(ecgs()), "abc")
    samples = draws.samples
    assert samples.shape == (2, 3, 9, LENGTH)
    assert samples.isfinite().all()
    assert samples.std() > 0.05
    assert misfit(samples) < 1e-5
    assert misfit(draws.mean) < 1e-5


@pytest.mark.parametrize("method", SAMPLERS)
def test_a_record_is_the_same_alone_and_beside_others(method, sashimi_prior):
    operator, noise = MEASUREMENTS["III and V1"]
    sampler, y = SAMPLERS[method](sashimi_prior, **FEW_STEPS[method][0]), operator(ecgs())
    together = run(sampler, operator, noise, y, "abc").samples
    other = run(sampler, operator, noise, torch.cat([y[:1], 50 * y[1:].flip(-1) + 10]), "ade").samples
    tolerance = LOOSE.get(method, 1e-4)
    torch.testing.assert_close(other[:, 0], together[:, 0], rtol=tolerance, atol=tolerance)
    assert misfit(together) < 1e-5
    assert not torch.equal(together[0], together[1])


def test_what_is_measured_of_iii_moves_i_and_ii(quick_prior):
    x = ecgs(1)
    operator = LeadSelection(["III"], NINE_LEADS)
    for method in ("ddnm", "decoupled", "diffpir", "repaint"):
        samples = run(SAMPLERS[method](quick_prior, **FEW_STEPS[method][0]), operator, 1e-3, operator(x), "a").samples
        assert (samples[:, :, 1] - samples[:, :, 0] - x[:, 2]).abs().max() < 0.02


@pytest.fixture(scope="module")
def nine_gaussian(gaussian):
    """The Gaussian prior of the others' tests, with lead III: its covariance is singular."""
    to_small = torch.from_numpy(np.kron(lead_matrix(SMALL, ("I", "II", "V1")), np.eye(gaussian.mean.shape[-1])))
    mean = (to_small @ gaussian.mean.flatten()).reshape(4, -1)
    prior = GaussianDenoiser(mean, to_small @ gaussian.covariance @ to_small.T, DiscreteSchedule())
    prior.leads = SMALL
    return prior


@pytest.fixture(scope="module")
def nine_truth(truth):
    return LeadSelection(SMALL, ("I", "II", "V1"))(truth)


GAPS = torch.ones(2, 8, dtype=torch.bool)
GAPS[0, 3:6] = GAPS[1, 2:] = False
PROBLEMS = {
    "III": LeadSelection(["III"], SMALL),
    "III and V1 with gaps": MeasuredLeads(GAPS, ["III", "V1"], SMALL),
    "I, II and III": LeadSelection(["I", "II", "III"], SMALL),
}


def make_problem(name, prior, truth, sigma_y=0.05):
    operator = PROBLEMS[name]
    y = operator(truth[None])
    z = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return Problem(prior, GaussianLikelihood(operator, y + sigma_y * z, sigma_y))


def mgps_law(problem, n_steps):
    return test_mgps.exact_law(problem.prior, problem.likelihood.operator, problem.likelihood.y, 0.05, n_steps)


LAWS = {
    "ddnm": (partial(DDNM, n_steps=8), test_ddnm.exact_law),
    "decoupled": (partial(DecoupledSampler, n_steps=6, eta=1.5), partial(test_decoupled.exact_law, eta=1.5)),
    "mgps": (partial(MGPS, n_steps=5, gradients=GradientSchedule(70, 70, 0, 0.08)), mgps_law),
}


@pytest.mark.parametrize(
    ("method", "problem_name"),
    [*product(("ddnm", "decoupled"), PROBLEMS), ("mgps", "III and V1 with gaps")],  # its gradients take time
)
def test_samples_follow_the_exact_law_of_the_algorithm(method, problem_name, nine_gaussian, nine_truth):
    n_samples, problem = 300, make_problem(problem_name, nine_gaussian, nine_truth)
    make, exact_law = LAWS[method]
    sampler = make(problem.prior)
    mean, covariance = exact_law(problem, sampler.n_steps)
    samples = sampler(problem.likelihood, n_samples, torch.Generator().manual_seed(1)).samples[:, 0]
    assert misfit(samples, SMALL) < 1e-9
    mean, variance = (value.reshape(4, -1)[WITHOUT_III] for value in (mean, covariance.diagonal()))
    samples = samples[:, WITHOUT_III]
    assert ((samples.mean(0) - mean) / (variance / n_samples).sqrt()).abs().max() < 4.5
    assert (samples.var(0) / variance - 1).abs().max() < 4.5 * (2 / n_samples) ** 0.5


@pytest.mark.parametrize(
    ("method", "problem_name", "shift", "width"),
    [
        ("ddnm", "III", 0.06, 0.97),
        ("ddnm", "I, II and III", 0.13, 0.99),
        ("decoupled", "III", 0.01, 1.03),
        ("decoupled", "III and V1 with gaps", 0.10, 1.05),
        ("decoupled", "I, II and III", 0.03, 1.04),
        ("mgps", "III", 0.01, 0.93),
        ("mgps", "III and V1 with gaps", 0.10, 0.94),
    ],
)
def test_bias_against_the_true_posterior_is_known(method, problem_name, shift, width, nine_gaussian, nine_truth):
    problem = make_problem(problem_name, nine_gaussian, nine_truth)
    law = {"ddnm": test_ddnm.exact_law, "decoupled": test_decoupled.exact_law, "mgps": mgps_law}[method]
    n_steps = {"ddnm": 100, "decoupled": 60, "mgps": 64}[method]
    found_shift, found_width = problem.ratio_to_posterior(*law(problem, n_steps))
    assert found_shift == pytest.approx(shift, abs=0.01)
    assert found_width == pytest.approx(width, abs=0.01)


def test_the_posterior_is_that_of_the_leads_that_are_no_others(gaussian, truth, nine_gaussian, nine_truth):
    """III measured of four leads says what II - I says of three."""
    nine = make_problem("III and V1 with gaps", nine_gaussian, nine_truth)
    three = MeasuredLeads(GAPS, ["III", "V1"], ("I", "II", "V1"))
    eight = Problem(gaussian, GaussianLikelihood(three, nine.likelihood.y, 0.05))
    found, expected = nine.posterior(), eight.posterior()
    torch.testing.assert_close(found[0].reshape(4, -1)[WITHOUT_III], expected[0].reshape(3, -1))
    torch.testing.assert_close(
        found[1].diagonal().reshape(4, -1)[WITHOUT_III], expected[1].diagonal().reshape(3, -1), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_conjugate_updates_stay_among_consistent_ecgs(name, nine_gaussian, nine_truth):
    problem, r = make_problem(name, nine_gaussian, nine_truth), 0.4
    likelihood, shape = problem.likelihood, nine_truth.shape
    projection = torch.kron(consistent_projection(), torch.eye(shape[-1], dtype=torch.float64))
    # The mean of N(mean, r^2 P) given y, P the projection: the prior has nothing outside its range.
    a, mean, covariance = problem.operator, nine_gaussian.mean.flatten(), r**2 * projection
    gain = covariance @ a.T @ torch.linalg.inv(a @ covariance @ a.T + problem.noise)
    expected = (mean + gain @ (problem.y - a @ mean)).reshape(shape)
    torch.testing.assert_close(likelihood.posterior_mean(nine_gaussian.mean[None], r)[0], expected)
    # A state's noise outside the range is left as it was drawn.
    z = torch.randn(5, 1, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z_y = torch.randn(5, *likelihood.y.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    drawn = likelihood.posterior_sample(nine_gaussian.mean[None], r, z, z_y)
    outside = torch.eye(4, dtype=torch.float64) - consistent_projection()
    torch.testing.assert_close(outside @ drawn, r * outside @ z)


def consistent_projection():
    return torch.from_numpy(consistent_matrix(SMALL, SMALL))


def test_no_time_is_met_twice(nine_gaussian, nine_truth):
    """A schedule of ten steps has no eleventh, however many are asked for."""
    prior = GaussianDenoiser(nine_gaussian.mean, nine_gaussian.covariance, DiscreteSchedule(10, 1e-4, 0.6))
    prior.leads, problem = SMALL, make_problem("III", nine_gaussian, nine_truth)
    for name, cls in METHODS.items():
        if name in ("amortised", "pigdm"):  # plain samplers refuse so many steps themselves
            continue
        samples = cls(prior, n_steps=40)(problem.likelihood, 2, torch.Generator().manual_seed(0)).samples
        assert samples.isfinite().all(), name
    alpha, sigma = prior.schedule(prior.schedule.grid(40, nine_truth))
    assert len(alpha) == 10
    assert ((sigma / alpha).diff() < 0).all()


@pytest.mark.parametrize("method", ["mgps", "dps", "pigdm"])
def test_gradients_are_taken_only_where_they_are_good(method, quick_prior):
    """The derivative of a network that finds noise is nothing to go by at high noise."""
    times = quick_prior.schedule.grid(6, torch.zeros(1))
    ratios = [float(sigma / alpha) for alpha, sigma in (quick_prior.schedule(t) for t in times)]
    assert [quick_prior.given().has_slope(t) for t in times] == [ratio <= 2 for ratio in ratios]
    assert not quick_prior.has_slope(times[0])
    settings = {"gradients": GradientSchedule(1, 1, 0)} if method == "mgps" else {}
    sampler = SAMPLERS[method](quick_prior, n_steps=6, **settings)
    operator, noise = MEASUREMENTS["lead I"]
    draws = run(sampler, operator, noise, operator(ecgs()), "abc")
    assert 0 < draws.calls.gradient < (5 if method == "pigdm" else 6)


def test_the_slope_of_independent_samples():
    prior = GaussianDenoiser(torch.zeros(2, 3), 0.25**2 * torch.eye(6), DiscreteSchedule())
    for t in torch.tensor([0.0, 0.3, 0.9]):
        x_t = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
        v = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
        (back,) = torch.autograd.grad(prior(x_t, t), x_t, v)
        alpha, sigma = prior.schedule(t)
        slope = alpha * 0.25**2 / (alpha**2 * 0.25**2 + sigma**2)
        torch.testing.assert_close(back, slope * v)
        assert prior.has_slope(t)


PATTERNS = {
    "lead": 3,
    "random_lead": 2,
    "rm": "50%",
    "mnr": 8,
    "bm": "25%",
    "mask": 0,
    "low_rate": 2,
    "clip": 60,
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_every_pattern_of_missing_samples(kind, quick_prior, tmp_path):
    truth = to_twelve(0.3 * torch.randn(2, 8, LENGTH, generator=torch.Generator().manual_seed(3))).numpy()
    path = tmp_path / "mask.npy" if kind == "mask" else None
    if path is not None:
        mask = gaps(12).numpy()
        mask[[0, 1]] = False  # of the limb leads only sums
        mask[3:6] = False
        np.save(path, mask)
    missingness = Missingness(kind, PATTERNS[kind], path)
    measurement = missingness.measure([1, 2], truth, NINE_LEADS, 0)
    eight = missingness.measure([1, 2], truth, INDEPENDENT_LEADS, 0)
    for found, expected in zip(measurement.known(), eight.known(), strict=True):
        assert torch.equal(found, expected)
    draws = sample_twelve_leads(DDNM(quick_prior, n_steps=4), measurement, [1, 2], 2, 0, 0.01)
    for twelve in (draws.samples, draws.mean[None]):
        assert twelve.isfinite().all()
        torch.testing.assert_close(twelve, to_twelve(twelve[:, :, [0, 1, *range(6, 12)]]), rtol=0, atol=1e-5)
        known = measurement.known()[1].expand(twelve.shape)
        torch.testing.assert_close(twelve[known], torch.from_numpy(truth).expand(twelve.shape)[known])
    assert bool(measurement.known()[1].any()) == (kind != "low_rate")
    if kind == "clip":
        inner = draws.samples[:, :, [0, 1, *range(6, 12)]]
        assert (inner >= measurement.lower - 1e-4).all()
        assert (inner <= measurement.upper + 1e-4).all()


def test_complete_is_bitwise_that_of_eight_leads():
    measurement = Measurement(torch.ones(1, 2, LENGTH), gaps(2)[None], ("III", "V2"), NINE_LEADS)
    eight = Measurement(measurement.y, measurement.observed, measurement.leads, INDEPENDENT_LEADS)
    samples = torch.randn(3, 1, 9, LENGTH, generator=torch.Generator().manual_seed(0))
    inner = LeadSelection(INDEPENDENT_LEADS, NINE_LEADS)(samples)
    assert torch.equal(measurement.complete(samples), eight.complete(inner))
    assert misfit(measurement.complete(samples), LEADS) < 1e-5


@pytest.mark.parametrize(
    ("leads", "identified", "complete"),
    [
        (["I"], {"I"}, True),
        (["III"], {"III"}, True),
        (["aVR"], set(), False),
        (["aVF", "aVL"], {"I", "II", "III"}, True),
        (["I", "III", "V2"], {"I", "II", "III", "V2"}, True),
        (["aVF", "V2"], {"V2"}, False),
    ],
)
def test_two_limb_leads_determine_the_third(leads, identified, complete):
    observed, holds_all = LeadSelection(leads, NINE_LEADS).identified(torch.zeros(1))
    assert {lead for lead, known in zip(NINE_LEADS, observed[:, 0], strict=True) if known} == identified
    assert bool(holds_all.all()) == complete


def test_the_amortised_sampler_of_a_conditional_prior_obeys_the_law_too(tiny_denoiser):
    torch.manual_seed(0)
    backbone = {**tiny_denoiser.spec["backbone"]}
    denoiser = build_denoiser({"backbone": backbone, "leads": NINE_LEADS}).eval().requires_grad_(False)
    operator = LeadSelection(["III", "V1"], NINE_LEADS)
    for sampler in (AmortisedSampler(denoiser, n_steps=3), DecoupledSampler(denoiser, n_steps=3)):
        draws = run(sampler, operator, 0.01, operator(ecgs()), "abc")
        assert misfit(draws.samples) < 1e-5
        assert misfit(draws.mean) < 1e-5


def test_leads_of_a_denoiser_with_fixed_conditions_are_known(quick_prior):
    assert DDNM(quick_prior.given()).leads == NINE_LEADS


def test_the_amortised_sampler_refuses_a_prior_that_cannot_be_told(quick_prior):
    with pytest.raises(ValueError, match='method="decoupled" or "mgps".*spectral_em'):
        AmortisedSampler(quick_prior)


@pytest.fixture(scope="module")
def nine_weights(sashimi, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "nine.safetensors"
    save_denoiser(path, sashimi)
    return path


@pytest.mark.parametrize(("leads", "noise", "method"), [(("III",), None, "decoupled"), (LEADS, "ma", "spectral_em")])
def test_reconstruct_takes_a_method_that_the_prior_knows(leads, noise, method, nine_weights):
    ecg = simulate_ecg(1, 100, 2.56, seed=2)[0, [LEADS.index(lead) for lead in leads]].astype(np.float64)
    result = reconstruct(ecg, 100, leads, 2, weights=nine_weights, noise=noise)
    assert result.method == method
    scale = np.abs(result.samples).max()  # weights at random: what they say is no ECG
    assert np.isfinite(scale)
    one, two, three, avr, avl, avf = result.samples[:, :6].swapaxes(0, 1)
    for derived, expected in ((three, two - one), (avr, -(one + two) / 2), (avl, one - two / 2), (avf, two - one / 2)):
        np.testing.assert_allclose(derived, expected, atol=1e-5 + 1e-6 * scale)
    if noise is None:
        assert result.observed.all(axis=-1).tolist() == [lead == "III" for lead in LEADS]
        assert len(np.unique(result.samples[:, 2], axis=0)) == 1


def test_reconstruct_refuses_what_the_prior_does_not_know(nine_weights):
    ecg = simulate_ecg(1, 100, 2.56, seed=2)[0, :1].astype(np.float64)
    with pytest.raises(ValueError, match="decoupled"):
        reconstruct(ecg, 100, ["I"], 2, "amortised", weights=nine_weights)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", SAMPLERS)
def test_on_a_gpu_it_is_the_same(method, quick_prior):
    truth = to_twelve(0.3 * torch.randn(2, 8, LENGTH, generator=torch.Generator().manual_seed(3))).numpy()
    measurement = Missingness("lead", 3).measure([1, 2], truth, NINE_LEADS, 0)
    results = []
    for device in ("cpu", "cuda"):
        sampler = SAMPLERS[method](copy.deepcopy(quick_prior).to(device), **FEW_STEPS[method][0])
        draws = sample_twelve_leads(sampler, measurement.to(device), [1, 2], 2, 0, 0.01)
        results.append((draws.samples.cpu(), draws.mean.cpu()))
    torch.testing.assert_close(*results, rtol=1e-2, atol=1e-2)
