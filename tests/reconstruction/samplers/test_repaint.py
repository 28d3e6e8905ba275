"""RePaint against its own exact law on a linear-Gaussian problem, and its bias against the posterior."""

import pytest
import torch

from reconstruction.samplers.base import Calls, walk
from reconstruction.samplers.repaint import RePaint
from tests.reconstruction.samplers.affine import PROBLEMS, Law, check_law, make_problem


def exact_law(problem, n_steps, n_resamples, jump_length):
    law, identity = Law(problem, n_steps), problem.identity
    projector = torch.linalg.pinv(problem.operator) @ problem.operator
    for start, end in walk(n_steps, n_resamples, jump_length):
        t, s = law.times[start], law.times[end]
        if start > end:
            law.renoise(t, s)
            continue
        (slope, offset), (share, kept, std) = law.denoiser(t), law.bridge(t, s)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = law.schedule(t), law.schedule(s)
        r = sigma_t / alpha_t
        gain = problem.gain(r)
        rest = identity - gain @ problem.operator
        known = alpha_s**2 * r**2 * rest + sigma_s**2 * identity
        law.apply(
            (identity - projector) @ (share * slope + kept * identity) + alpha_s * projector @ rest @ slope,
            (identity - projector) @ (share * offset) + alpha_s * projector @ (rest @ offset + gain @ problem.y),
            std**2 * (identity - projector) + projector @ known @ projector,
        )
    return law.end()


@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    sampler = RePaint(problem.prior, 8, 3, 3)
    calls = check_law(sampler, problem, *exact_law(problem, 8, 3, 3))
    assert calls == Calls(25)


@pytest.mark.parametrize(("n_resamples", "shift", "width"), [(1, 0.14, 0.97), (10, 0.06, 0.93)])
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, n_resamples, shift, width):
    problem = make_problem("mask", gaussian, truth, observed)
    found_shift, found_width = problem.ratio_to_posterior(*exact_law(problem, 50, n_resamples, 5))
    assert found_shift == pytest.approx(shift, abs=0.01)
    assert found_width == pytest.approx(width, abs=0.01)


def test_the_walk_goes_down_each_stretch_as_often_as_asked():
    path = [0, *(end for _, end in walk(5, 2, 2))]
    assert path == [0, 1, 2, 0, 1, 2, 3, 4, 2, 3, 4, 5, 4, 5]


def test_settings_are_checked(gaussian):
    with pytest.raises(ValueError, match="jump_length"):
        RePaint(gaussian, 10, 2, 0)
