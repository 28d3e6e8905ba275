"""The published autoencoder and U-Nets (Han et al., arXiv 2506.11815, 2025), made of the blocks of diffusers.

The names of the weights are those of the published checkpoints. diffusers takes seconds to import, so it is imported
where a network is built, not with this module.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from einthoven.extras import extra
from noise_quant.model.models import ImageAutoencoder
from noise_quant.model.small_networks import timestep_features

WIDTH_UNIT = 64
"""Channels that the multiples below refer to; also the length of the timestep's features."""
N_LAYERS = 2
"""Residual blocks of a resolution, on the way down; one more on the way up."""
N_GROUPS = 32
HEAD_SIZE = 8
EPSILON = 1e-5
LATENT_CHANNELS = 2
SCALING_FACTOR = 0.18215
LATENT_WIDTHS = (1, 2, 4)
PIXEL_WIDTHS = (1, 2, 2, 3, 4)
N_PLAIN_LATENT, N_PLAIN_PIXEL = 1, 2
"""Finest resolutions, which do not attend."""


class HanAutoencoder(ImageAutoencoder):
    """The published autoencoder, 15.5 M parameters, with two latent channels and no sampling of the latent."""

    latent_channels = LATENT_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        with extra("train"):
            from diffusers.models.autoencoders.vae import Decoder, Encoder

        channels = tuple(WIDTH_UNIT * width for width in LATENT_WIDTHS)
        plain, attending = N_PLAIN_LATENT, len(channels) - N_PLAIN_LATENT
        self.encoder = Encoder(
            in_channels=1,
            out_channels=LATENT_CHANNELS,
            down_block_types=("DownEncoderBlock2D",) * plain + ("AttnDownEncoderBlock2D",) * attending,
            block_out_channels=channels,
            layers_per_block=N_LAYERS,
            norm_num_groups=N_GROUPS,
            double_z=False,
        )
        self.decoder = Decoder(
            in_channels=LATENT_CHANNELS,
            out_channels=1,
            up_block_types=("AttnUpDecoderBlock2D",) * attending + ("UpDecoderBlock2D",) * plain,
            block_out_channels=channels,
            layers_per_block=N_LAYERS,
            norm_num_groups=N_GROUPS,
        )
        self.quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)
        self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)

    def encode(self, image: Tensor) -> Tensor:
        """Maps images (B, 1, 32, 256) to latents (B, 2, 8, 64)."""
        return self.quant_conv(self.encoder(image))

    def decode(self, latent: Tensor) -> Tensor:
        """Maps latents (B, 2, 8, 64) to images (B, 1, 32, 256)."""
        return self.decoder(self.post_quant_conv(latent))


class HanUNet(nn.Module):
    """The published U-Net of residual and attention blocks.

    Args:
        in_channels: Channels of the input and of the output.
        widths: Channels of each resolution, finest first, in units of 64.
        n_plain: How many of the finest resolutions do not attend.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], n_plain: int) -> None:
        super().__init__()
        with extra("train"):
            from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2D, get_down_block, get_up_block

        channels = [WIDTH_UNIT * width for width in widths]
        first, last = channels[0], channels[-1]
        n_embedding = 4 * WIDTH_UNIT
        shared: dict[str, Any] = {
            "temb_channels": n_embedding,
            "resnet_eps": EPSILON,
            "resnet_act_fn": "silu",
            "resnet_groups": N_GROUPS,
            "attention_head_dim": HEAD_SIZE,
            "resnet_time_scale_shift": "scale_shift",
        }
        self.time_embed = nn.Sequential(
            nn.Linear(WIDTH_UNIT, n_embedding), nn.SiLU(), nn.Linear(n_embedding, n_embedding)
        )
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for i, n in enumerate(channels):
            self.down_blocks.append(
                get_down_block(
                    "ResnetDownsampleBlock2D" if i < n_plain else "AttnDownBlock2D",
                    num_layers=N_LAYERS,
                    in_channels=channels[max(i - 1, 0)],
                    out_channels=n,
                    add_downsample=i < len(channels) - 1,
                    downsample_type="resnet",
                    downsample_padding=1,
                    **shared,
                )
            )
        self.mid_block = UNetMidBlock2D(in_channels=last, attn_groups=None, **shared)
        for i in reversed(range(len(channels))):
            self.up_blocks.append(
                get_up_block(
                    "ResnetUpsampleBlock2D" if i < n_plain else "AttnUpBlock2D",
                    num_layers=N_LAYERS + 1,
                    in_channels=channels[max(i - 1, 0)],
                    out_channels=channels[i],
                    prev_output_channel=channels[min(i + 1, len(channels) - 1)],
                    add_upsample=i > 0,
                    upsample_type="resnet",
                    **shared,
                )
            )
        self.conv_norm_out = nn.GroupNorm(N_GROUPS, first, eps=EPSILON)
        self.conv_out = nn.Conv2d(first, in_channels, 3, padding=1)

    def forward(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        """Predicts the noise in latents or images (B, in_channels, H, W) at timesteps (B,); same shape."""
        embedding = self.time_embed(timestep_features(timesteps, WIDTH_UNIT))
        h = self.conv_in(x_t)
        skips = [h]
        for block in self.down_blocks:
            h, outputs = block(hidden_states=h, temb=embedding)
            skips += outputs
        h = self.mid_block(h, embedding)
        for block in self.up_blocks:
            own, skips = skips[-(N_LAYERS + 1) :], skips[: -(N_LAYERS + 1)]
            h = block(h, tuple(own), embedding)
        return self.conv_out(functional.silu(self.conv_norm_out(h)))


def han_unet(kind: str) -> HanUNet:
    """Builds the published U-Net with fresh weights: "latent" (18.0 M parameters) or "pixel" (28.5 M)."""
    if kind == "latent":
        return HanUNet(LATENT_CHANNELS, LATENT_WIDTHS, N_PLAIN_LATENT)
    return HanUNet(1, PIXEL_WIDTHS, N_PLAIN_PIXEL)
