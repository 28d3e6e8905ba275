"""What holds for every posterior sampler; a new one is added to SAMPLERS."""

import pytest
import torch

from diffusion_prior.randomness import record_generators
from reconstruction.amortised import AmortisedSampler
from reconstruction.likelihood import GaussianLikelihood
from reconstruction.mgps import MGPS, GradientSchedule
from reconstruction.operators import LeadSelection

# With the largest difference of a batch from its records one by one: Adam divides by the root of a squared gradient,
# so rounding grows where a gradient is nearly zero.
SAMPLERS = {
    "amortised": (lambda denoiser: AmortisedSampler(denoiser, n_steps=4), 1e-4),
    "mgps": (lambda denoiser: MGPS(denoiser, 4, GradientSchedule(2, 2, 0)), 1e-3),
}


@pytest.fixture(params=SAMPLERS.values(), ids=SAMPLERS)
def case(request, tiny_denoiser):
    make, tolerance = request.param
    return make(tiny_denoiser), tolerance


@pytest.fixture
def y():
    return 0.3 * torch.randn(3, 1, 96, generator=torch.Generator().manual_seed(3))


def run(sampler, y, keys):
    return sampler(GaussianLikelihood(LeadSelection(["I"]), y, 0.02), 2, record_generators(0, keys, 2))


def test_batch_mates_change_nothing(case, y):
    sampler, _ = case
    other = y.clone()
    other[1:] = 5 * other[1:].flip(-1) + 1
    assert torch.equal(run(sampler, y, [1, 2, 3])[:, 0], run(sampler, other, [1, 8, 9])[:, 0])


def test_a_batch_equals_its_records_one_by_one(case, y):
    sampler, tolerance = case
    together = run(sampler, y, ["a", "b", "c"])
    for row, key in enumerate("abc"):
        alone = run(sampler, y[row : row + 1], [key])
        torch.testing.assert_close(together[:, row : row + 1], alone, rtol=tolerance, atol=tolerance)


def test_samples_differ_and_belong_to_seed_and_key(case, y):
    sampler, _ = case
    first, again, other = (run(sampler, y[:1], [key]) for key in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
