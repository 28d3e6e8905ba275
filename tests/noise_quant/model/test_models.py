"""Restoring images: shapes, seeds, batch independence, refusals."""

import pytest
import torch

from einthoven.randomness import seeded_generator
from noise_quant.model.checkpoint import build_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import ScalogramSettings

IMAGE = torch.rand(4, 1, 32, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
NETWORKS = {
    "latent": {"ae": {"width": 8, "n_blocks": 1, "latent_channels": 2}, "unet": {"channels": [8, 16]}},
    "pixel": {"unet": {"channels": [8, 16], "patch": 4}},
}


def tiny(kind, **settings):
    torch.manual_seed(0)
    model = build_model({"kind": kind, **NETWORKS[kind], **settings}).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def generators(seed=0, n=4):
    return [seeded_generator(seed, key) for key in range(n)]


@pytest.mark.parametrize("process", [ReverseProcess(), ReverseProcess(3, noise_scheduler_type="ddpm")])
@pytest.mark.parametrize("kind", ["latent", "pixel"])
def test_a_result_does_not_depend_on_batch_mates(kind, process):
    model = tiny(kind)
    whole = model.reconstruct(IMAGE, process, generators())
    assert whole.shape == IMAGE.shape and not whole.requires_grad
    for i in (0, 3):
        alone = model.reconstruct(IMAGE[i : i + 1], process, generators()[i : i + 1])
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-5, atol=1e-5)
    other = model.reconstruct(IMAGE, process, generators(seed=1))
    assert (other - whole).abs().amax(dim=(1, 2, 3)).min() > 1e-4


@pytest.mark.parametrize("kind", ["latent", "pixel"])
def test_given_start_noise_takes_the_place_of_the_drawn_one(kind):
    model = tiny(kind)
    noise = torch.stack([torch.randn(model.latent_shape, generator=g) for g in generators()])
    torch.testing.assert_close(
        model.reconstruct(IMAGE, start_noise=noise), model.reconstruct(IMAGE, generator=generators())
    )
    one = model.reconstruct(IMAGE, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(one, model.reconstruct(IMAGE, generator=torch.Generator().manual_seed(5)))


def test_latents_are_scaled_for_the_process_and_back():
    model = tiny("latent", scaling_factor=0.5)
    torch.testing.assert_close(model.encode(IMAGE), 0.5 * model.ae.encode(IMAGE))
    torch.testing.assert_close(model.decode(model.encode(IMAGE)), model.ae.decode(model.ae.encode(IMAGE)))
    assert model.latent_shape == (2, 8, 64)


def test_clipping_keeps_pixels_in_range():
    process = ReverseProcess(0)
    clipped, free = (
        tiny("pixel", clip_sample=clip).reconstruct(2 * IMAGE, process, generators()) for clip in (True, False)
    )
    assert clipped.abs().max() <= 1 < free.abs().max()


def test_settings_come_with_the_model():
    model = tiny("pixel", scalogram={"published": True}, discretization=False)
    assert model.scalogram == ScalogramSettings(published=True) and model.discretization is False


def test_what_does_not_fit_is_refused():
    model = tiny("latent", max_timestep=100)
    with pytest.raises(ValueError, match="images have shape"):
        model.reconstruct(IMAGE[..., :128])
    with pytest.raises(ValueError, match="start_noise"):
        model.reconstruct(IMAGE, start_noise=torch.zeros(4, 1, 8, 64))
    with pytest.raises(ValueError, match="generators"):
        model.reconstruct(IMAGE, generator=generators(n=3))
    with pytest.raises(ValueError, match="below 100"):
        model.reconstruct(IMAGE, ReverseProcess(100))
    model.reconstruct(IMAGE[:1], ReverseProcess(90))
    with pytest.raises(ValueError, match="max_timestep"):
        tiny("pixel", max_timestep=1001)
