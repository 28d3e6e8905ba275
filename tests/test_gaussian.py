import torch

from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.schedule import VPSchedule
from tests.gaussian import GaussianDenoiser

GENERATOR = torch.Generator().manual_seed(0)
ROOT = torch.randn(6, 6, generator=GENERATOR, dtype=torch.float64)
PRIOR = GaussianDenoiser(torch.ones(2, 3, dtype=torch.float64), ROOT @ ROOT.T, VPSchedule())
X_T = torch.randn(4, 2, 3, generator=GENERATOR, dtype=torch.float64)
T = torch.tensor(0.4, dtype=torch.float64)


def test_denoiser_is_the_posterior_mean_given_the_noised_signal():
    alpha, sigma = PRIOR.schedule(T)
    expected = [PRIOR.posterior(alpha * torch.eye(6, dtype=torch.float64), x.reshape(-1), sigma)[0] for x in X_T]
    torch.testing.assert_close(PRIOR(X_T, T), torch.stack(expected))


def test_denoiser_given_measured_samples():
    y = torch.randn(4, 2, 3, generator=GENERATOR, dtype=torch.float64)
    observed = torch.tensor([[True, False, True], [False, False, False]]).expand(4, 2, 3)
    x = PRIOR(X_T, T, Conditions(y=y, observed=observed))
    torch.testing.assert_close(x[observed], y[observed])
    alpha, sigma = PRIOR.schedule(T)
    rows = torch.cat(
        [alpha / sigma * torch.eye(6, dtype=torch.float64), torch.eye(6, dtype=torch.float64)[[0, 2]] * 1e5]
    )
    measured = torch.cat([X_T[0].reshape(-1) / sigma, y[0].reshape(-1)[[0, 2]] * 1e5])
    torch.testing.assert_close(x[0], PRIOR.posterior(rows, measured, 1.0)[0], rtol=1e-4, atol=1e-5)
