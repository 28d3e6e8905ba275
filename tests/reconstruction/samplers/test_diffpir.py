"""DiffPIR against its own exact law on a linear-Gaussian problem, and its bias against the posterior."""

import pytest

from reconstruction.samplers.base import Calls
from reconstruction.samplers.diffpir import DiffPIR
from tests.reconstruction.samplers.affine import PROBLEMS, Law, check_law, make_problem


def exact_law(problem, n_steps, weight, zeta):
    law, identity = Law(problem, n_steps), problem.identity
    for t, s in zip(law.times[:-1], law.times[1:], strict=True):
        (slope, offset), (alpha_t, sigma_t), (alpha_s, sigma_s) = law.denoiser(t), law.schedule(t), law.schedule(s)
        gain = problem.gain(sigma_t / alpha_t / weight**0.5)
        rest = identity - gain @ problem.operator
        old = sigma_s * (1 - zeta) ** 0.5 / sigma_t
        clean = alpha_s - old * alpha_t
        law.apply(
            clean * rest @ slope + old * identity,
            clean * (rest @ offset + gain @ problem.y),
            sigma_s**2 * zeta * identity,
        )
    (slope, offset), (alpha, sigma) = law.denoiser(law.times[-1]), law.schedule(law.times[-1])
    gain = problem.gain(sigma / alpha / weight**0.5)
    rest = identity - gain @ problem.operator
    law.apply(rest @ slope, rest @ offset + gain @ problem.y, 0.0)
    return law.mean, law.covariance


@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    sampler = DiffPIR(problem.prior, 8, weight=3.0, zeta=0.6)
    calls = check_law(sampler, problem, *exact_law(problem, 8, 3.0, 0.6))
    assert calls == Calls(9)


@pytest.mark.parametrize(("zeta", "shift", "width"), [(0.3, 0.11, 0.97), (1.0, 0.06, 0.70)])
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, zeta, shift, width):
    problem = make_problem("mask", gaussian, truth, observed)
    found_shift, found_width = problem.ratio_to_posterior(*exact_law(problem, 100, 1.0, zeta))
    assert found_shift == pytest.approx(shift, abs=0.01)
    assert found_width == pytest.approx(width, abs=0.01)


@pytest.mark.parametrize("wrong", [{"n_steps": 0}, {"weight": 0.0}, {"zeta": 1.5}])
def test_settings_are_checked(gaussian, wrong):
    with pytest.raises(ValueError, match="zeta <= 1|n_steps >= 1"):
        DiffPIR(gaussian, **wrong)
