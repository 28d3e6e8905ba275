"""The small networks: shapes, sizes, and what they do before training."""

import pytest
import torch

from noise_quant.model.small_networks import SmallAutoencoder, SmallUNet, timestep_features


def test_autoencoder_maps_images_to_latents_and_back():
    ae = SmallAutoencoder(width=16, latent_channels=3, n_blocks=1)
    image = torch.rand(2, 1, 32, 256)
    latent = ae.encode(image)
    assert latent.shape == (2, 3, 8, 64) and ae.latent_channels == 3
    assert ae.decode(latent).shape == image.shape


@pytest.mark.parametrize(
    ("settings", "shape"), [({}, (2, 8, 64)), ({"in_channels": 1, "patch": 4, "n_rows": 32}, (1, 32, 256))]
)
def test_unet_predicts_nothing_at_first_and_trains_all_its_weights(settings, shape):
    unet = SmallUNet(**settings, channels=(8, 16))
    x_t, timesteps = torch.randn(3, *shape), torch.tensor([0, 30, 999])
    assert not unet(x_t, timesteps).any()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    out = unet(x_t, timesteps)
    assert out.shape == x_t.shape
    out.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in unet.parameters())


def test_output_depends_on_the_timestep_and_not_on_batch_mates():
    torch.manual_seed(0)
    unet = SmallUNet(channels=(8, 16))
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x_t = torch.randn(1, 2, 8, 64).expand(2, -1, -1, -1)
    early, late = unet(x_t, torch.tensor([1, 900]))
    assert (early - late).abs().max() > 1e-3
    torch.testing.assert_close(unet(x_t[:1], torch.tensor([1]))[0], early)


def test_default_networks_have_at_most_four_million_weights():
    networks = (SmallAutoencoder(), SmallUNet(), SmallUNet(1, patch=4, n_rows=32))
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in networks]
    assert sizes[0] + sizes[1] < 4e6 and sizes[2] < 4e6


def test_timestep_features_tell_timesteps_apart():
    features = timestep_features(torch.arange(1000), 32)
    assert torch.cdist(features, features).fill_diagonal_(1).min() > 0.01
    assert features[0].tolist() == [1.0] * 16 + [0.0] * 16


def test_levels_that_do_not_fit_the_rows_are_refused():
    with pytest.raises(ValueError, match="cannot be halved"):
        SmallUNet(patch=2, n_rows=8, channels=(8, 8, 8, 8))
