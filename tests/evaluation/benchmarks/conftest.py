import pytest

from diffusion_prior.checkpoint import build_denoiser, save_denoiser

BACKBONE = {"name": "unet1d", "channels": (8,), "kernel_sizes": (3,), "attention": (False,), "n_blocks": 1}


@pytest.fixture(scope="session")
def prior(tmp_path_factory):
    """File of the weights of a tiny prior."""
    path = tmp_path_factory.mktemp("weights") / "prior.safetensors"
    save_denoiser(path, build_denoiser({"backbone": BACKBONE}))
    return str(path)
