import math

import pytest
import torch

from reconstruction.likelihood import GaussianLikelihood
from reconstruction.operators import LeadSelection, Mask


def test_log_prob_is_the_normal_density_of_each_record():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 2, 8, 6, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 2, 6, generator=generator, dtype=torch.float64)
    operator = LeadSelection(["III", "V1"])
    log_prob = GaussianLikelihood(operator, y, 0.3).log_prob(x)
    expected = torch.distributions.Normal(operator(x), 0.3).log_prob(y).sum(dim=(-2, -1))
    assert log_prob.shape == (4, 2)
    torch.testing.assert_close(log_prob, expected)


def test_what_was_not_measured_counts_for_nothing():
    observed = torch.tensor([[True, False, False]])
    y = torch.tensor([[[0.5, math.nan, 7.0]]])
    likelihood = GaussianLikelihood(Mask(observed), y, 0.1)
    x = torch.tensor([[[0.4, 1.0, 2.0]]])
    expected = torch.distributions.Normal(0.4, 0.1).log_prob(torch.tensor(0.5))
    torch.testing.assert_close(likelihood.log_prob(x), expected[None])


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma_y"):
        GaussianLikelihood(LeadSelection(["I"]), torch.zeros(1, 1, 5), 0.0)
