"""A tiny prior with random weights, and a Gaussian one."""

import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.model.schedule import EDMSchedule
from tests.gaussian import GaussianDenoiser


@pytest.fixture(scope="session")
def tiny_denoiser():
    """The real network at a tiny size, with random weights in its last layer too."""
    torch.manual_seed(0)
    backbone = {
        "name": "unet1d",
        "channels": (8, 16),
        "kernel_sizes": (3, 3),
        "attention": (False, False),
        "n_blocks": 1,
    }
    denoiser = build_denoiser({"backbone": backbone})
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return denoiser.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_weights(tiny_denoiser, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_denoiser(path, tiny_denoiser)
    return path


@pytest.fixture(scope="session")
def gaussian():
    """A Gaussian prior of three correlated leads and eight samples, in float64."""
    generator = torch.Generator().manual_seed(0)
    n_leads, length = 3, 8
    loadings = torch.randn(n_leads, 2, generator=generator, dtype=torch.float64)
    between = loadings @ loadings.T + 0.1 * torch.eye(n_leads)
    scale = between.diagonal().rsqrt()
    between = between * scale[:, None] * scale
    time = torch.arange(length, dtype=torch.float64)
    along = torch.exp(-0.5 * ((time[:, None] - time) / 2) ** 2) + 0.01 * torch.eye(length)
    mean = 0.1 * torch.randn(n_leads, length, generator=generator, dtype=torch.float64)
    return GaussianDenoiser(mean, 0.3**2 * torch.kron(between, along), EDMSchedule(0.01, 10.0))


@pytest.fixture(scope="session")
def truth(gaussian):
    """One draw of the Gaussian prior."""
    z = torch.randn(gaussian.mean.numel(), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return gaussian.mean + (torch.linalg.cholesky(gaussian.covariance) @ z).reshape(gaussian.mean.shape)


@pytest.fixture(scope="session")
def observed(gaussian):
    """The first lead and the start of the second."""
    mask = torch.zeros(gaussian.mean.shape, dtype=torch.bool)
    mask[0] = True
    mask[1, :3] = True
    return mask
