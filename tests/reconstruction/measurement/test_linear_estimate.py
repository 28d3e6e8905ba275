"""The linear estimate in short gaps: where it has a say, and that it is the posterior of its Gaussian process."""

import numpy as np
import pytest
import torch

from reconstruction.measurement import linear_estimate
from reconstruction.measurement.linear_estimate import COVARIANCE, SHORT, STRENGTH, bridge_short_gaps, fit_covariance

WIDTH = linear_estimate.BLOCK + 2 * linear_estimate.REACH


@pytest.fixture
def ecg():
    """Draws from the packaged process, (3, 8, 64), and a mask with gaps of 1, 3 and 4 samples and two blocks."""
    covariance = linear_estimate._window_covariance(WIDTH)
    scale = np.linalg.cholesky(covariance + 1e-7 * np.eye(len(covariance)))
    x = scale @ np.random.default_rng(0).standard_normal((len(covariance), 3))
    observed = torch.ones(3, 8, WIDTH, dtype=torch.bool)
    observed[0, 2, 30] = observed[1, 3, 20:23] = observed[2, 4, 20:24] = False
    observed[1, :, 40:] = observed[2, 0, :10] = False
    return torch.from_numpy(x.T.reshape(3, 8, WIDTH)), observed


def test_packaged_covariance():
    assert COVARIANCE.stat().st_size < 50_000
    with np.load(COVARIANCE) as file:
        lags = file["covariance"]
    assert lags.shape == (8, 8, 2 * WIDTH - 1)
    np.testing.assert_allclose(lags, lags.transpose(1, 0, 2)[..., ::-1], atol=1e-7)
    assert np.linalg.eigvalsh(linear_estimate._window_covariance(WIDTH)).min() > -1e-6


def test_covariance_of_ecgs():
    x = np.random.default_rng(0).standard_normal((4, 2, 100))
    lags = fit_covariance(x)
    assert lags.shape == (2, 2, 2 * WIDTH - 1)
    expected = np.mean([x[n, 0, :-5] @ x[n, 1, 5:] for n in range(4)]) / 100
    assert lags[0, 1, WIDTH - 1 + 5] == pytest.approx(expected, abs=1e-6)
    assert fit_covariance(x[..., :10]).shape == (2, 2, 19)


def test_only_short_gaps_between_measured_samples_are_bridged(ecg):
    x, observed = ecg
    draws = x + 0.1 * torch.randn(4, *x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    bridged = bridge_short_gaps(draws, torch.where(observed, x, torch.nan), observed)
    changed = (bridged != draws).any(dim=0)
    expected = torch.zeros_like(observed)
    expected[0, 2, 30] = expected[1, 3, 20 : 20 + SHORT] = True
    assert torch.equal(changed, expected)
    assert (bridged - x)[:, expected].abs().mean() < 0.7 * (draws - x)[:, expected].abs().mean()
    assert (bridged.std(dim=0) <= draws.std(dim=0) + 1e-12).all()
    assert torch.equal(bridge_short_gaps(draws[:1], x, observed), draws[:1])


def test_joined_with_its_own_prior_it_is_the_posterior(ecg):
    x, observed = ecg
    covariance = linear_estimate._window_covariance(WIDTH)
    place, seen = 2 * WIDTH + 30, observed[0].reshape(-1).numpy()
    gram = covariance[np.ix_(seen, seen)] + STRENGTH * covariance.diagonal().mean() * np.eye(seen.sum())
    weights = np.linalg.solve(gram, covariance[seen, place])
    mean = weights @ x[0].reshape(-1).numpy()[seen]
    variance = covariance[place, place] - weights @ covariance[seen, place]
    # Two draws of the process' own mean and variance.
    spread = float(np.sqrt(covariance[place, place] / 2))
    draws = torch.stack([torch.full_like(x, spread), torch.full_like(x, -spread)])
    bridged = bridge_short_gaps(draws, x, observed)[:, 0, 2, 30]
    assert float(bridged.mean()) == pytest.approx(mean, abs=1e-3)
    assert float(bridged.var()) == pytest.approx(variance, rel=0.02)
