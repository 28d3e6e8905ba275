"""Factors of the amplitudes of leads."""

import torch

from reconstruction.samplers.amplitudes import draw_factors

COVARIANCE = torch.tensor([[0.09, 0.06, 0.0], [0.06, 0.16, 0.02], [0.0, 0.02, 0.04]], dtype=torch.float64)


def test_logarithms_have_the_covariance_given_that_known_leads_need_no_factor():
    known = torch.tensor([[False, False, False], [False, True, False]])
    z = torch.randn(20_000, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    factors = draw_factors(COVARIANCE, known, z)
    assert bool((factors[:, 1, 1] == 1).all())
    torch.testing.assert_close(factors.median(dim=0).values, torch.ones(2, 3, dtype=torch.float64), rtol=0, atol=0.02)
    free, given = factors[:, 0].log().T.cov(), factors[:, 1, [0, 2]].log().T.cov()
    torch.testing.assert_close(free, COVARIANCE, rtol=0, atol=0.005)
    rest, with_known = COVARIANCE[[0, 2]][:, [0, 2]], COVARIANCE[[0, 2], 1]
    torch.testing.assert_close(given, rest - torch.outer(with_known, with_known) / 0.16, rtol=0, atol=0.005)


def test_a_record_alone_gets_what_it_gets_in_a_batch():
    known = torch.tensor([[True, False, False], [False, False, True]])
    z = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    both = draw_factors(COVARIANCE, known, z)
    assert both.dtype == torch.float32
    torch.testing.assert_close(draw_factors(COVARIANCE, known[1:], z[:, 1:]), both[:, 1:])
