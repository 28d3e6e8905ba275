"""The `small` networks: a scalogram's autoencoder and U-Net, made of few operations on few pixels.

Both cut an image into patches first, so that nothing runs at the full 32 x 256 pixels. A frequency is not like another
one, so each row of patches has an embedding of its own.
"""

import itertools
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from noise_quant.model.models import ImageAutoencoder
from noise_quant.scalogram.image import HEIGHT

AE_PATCH = 4
"""Pixels that a token of the latent covers, in frequency and in time."""
N_GROUPS = 8


def timestep_features(timesteps: Tensor, n_features: int) -> Tensor:
    """Embeds timesteps in cosines and sines with periods from 2 pi to 20,000 pi, shape (B, n_features)."""
    half = n_features // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, device=timesteps.device))
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, with scale and shift from an embedding between them if there is one.

    Args:
        n_in: Input channels.
        n_out: Output channels.
        n_embedding: Length of the embedding; 0 for a block without one.
    """

    def __init__(self, n_in: int, n_out: int, n_embedding: int = 0) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(N_GROUPS, n_in)
        self.conv_in = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.modulation = nn.Linear(n_embedding, 2 * n_out) if n_embedding else None
        self.norm_out = nn.GroupNorm(N_GROUPS, n_out)
        self.conv_out = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        nn.init.zeros_(self.conv_out.weight)
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Maps (B, n_in, H, W), and the embedding (B, n_embedding), to (B, n_out, H, W)."""
        out = self.norm_out(self.conv_in(functional.silu(self.norm_in(h))))
        if self.modulation is not None:
            scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
            out = torch.addcmul(shift, out, 1 + scale)
        return self.skip(h) + self.conv_out(functional.silu(out))


class SmallAutoencoder(ImageAutoencoder):
    """Autoencoder whose latent has a token for each 4 x 4 pixels.

    The encoder looks at patches of 8 x 8 pixels too, for the context that tells a beat from an artefact; the decoder
    ends on patches of 2 x 2 pixels.

    Args:
        width: Channels of the patches of 4 x 4 pixels, a multiple of 8.
        context_width: Channels of the patches of 8 x 8 pixels, a multiple of 8.
        detail_width: Channels of the patches of 2 x 2 pixels, a multiple of 8.
        latent_channels: Channels of the latent.
        n_blocks: Residual blocks of each on the patches of 4 x 4 pixels, and, one more, on those of 8 x 8.
    """

    def __init__(
        self,
        width: int = 48,
        context_width: int = 96,
        detail_width: int = 32,
        latent_channels: int = 1,
        n_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        rows = torch.zeros(1, width, HEIGHT // AE_PATCH, 1)
        self.encoder_rows, self.decoder_rows = nn.Parameter(rows), nn.Parameter(rows.clone())
        self.patch_in = nn.Conv2d(1, width, AE_PATCH, stride=AE_PATCH)
        self.encoder = nn.Sequential(*(ResidualBlock(width, width) for _ in range(n_blocks)))
        self.context = nn.Sequential(
            nn.Conv2d(width, context_width, 2, stride=2),
            *(ResidualBlock(context_width, context_width) for _ in range(n_blocks + 1)),
            nn.Conv2d(context_width, 4 * width, 1),
            nn.PixelShuffle(2),
        )
        self.merge = ResidualBlock(width, width)
        self.norm_latent = nn.GroupNorm(N_GROUPS, width)
        self.to_latent = nn.Conv2d(width, latent_channels, 1)
        self.from_latent = nn.Conv2d(latent_channels, width, 3, padding=1)
        self.decoder = nn.Sequential(*(ResidualBlock(width, width) for _ in range(n_blocks)))
        self.detail = nn.Sequential(
            nn.Conv2d(width, 4 * detail_width, 1), nn.PixelShuffle(2), ResidualBlock(detail_width, detail_width)
        )
        self.norm_out = nn.GroupNorm(N_GROUPS, detail_width)
        self.patch_out = nn.Conv2d(detail_width, 4, 3, padding=1)

    def encode(self, image: Tensor) -> Tensor:
        """Maps images (B, 1, 32, 256) to latents (B, latent_channels, 8, 64)."""
        h = self.encoder(self.patch_in(image) + self.encoder_rows)
        h = self.merge(h + self.context(h))
        return self.to_latent(functional.silu(self.norm_latent(h)))

    def decode(self, latent: Tensor) -> Tensor:
        """Maps latents (B, latent_channels, 8, 64) to images (B, 1, 32, 256)."""
        h = self.detail(self.decoder(self.from_latent(latent) + self.decoder_rows))
        return functional.pixel_shuffle(self.patch_out(functional.silu(self.norm_out(h))), 2)


class SmallUNet(nn.Module):
    """U-Net that predicts the noise in a latent or, with `patch=4`, in an image.

    Args:
        in_channels: Channels of the input and of the output.
        channels: Channels of each resolution, finest first, multiples of 8; one has half the rows and columns of the
            one before.
        n_blocks: Residual blocks of each resolution, on either side.
        patch: Side of the patches that the finest resolution works on; 1 for none.
        n_rows: Rows of the input.
    """

    def __init__(
        self,
        in_channels: int = 2,
        channels: Sequence[int] = (64, 128),
        n_blocks: int = 1,
        patch: int = 1,
        n_rows: int = HEIGHT // AE_PATCH,
    ) -> None:
        super().__init__()
        if not channels or n_rows % (patch * 2 ** (len(channels) - 1)):
            raise ValueError(f"{n_rows} rows cannot be halved for {len(channels)} resolutions of patches of {patch}")
        self.in_channels, self.patch, self.n_rows = in_channels, patch, n_rows
        first, n_embedding = channels[0], 2 * channels[-1]
        self.n_features = channels[0]
        self.embedding = nn.Sequential(
            nn.Linear(self.n_features, n_embedding), nn.SiLU(), nn.Linear(n_embedding, n_embedding), nn.SiLU()
        )
        self.rows = nn.Parameter(torch.zeros(1, first, n_rows // patch, 1))
        n_pixels = in_channels * patch**2
        self.patch_in = nn.Conv2d(n_pixels, first, 3, padding=1)

        def blocks(n_first: int, n: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(n if i else n_first, n, n_embedding) for i in range(n_blocks))

        pairs = list(itertools.pairwise(channels))
        self.down = nn.ModuleList(blocks(n, n) for n in channels)
        self.up = nn.ModuleList(blocks(2 * n, n) for n in channels[:-1])
        self.downsample = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.norm_out = nn.GroupNorm(N_GROUPS, first)
        self.patch_out = nn.Conv2d(first, n_pixels, 3, padding=1)
        nn.init.zeros_(self.patch_out.weight)
        nn.init.zeros_(cast(Tensor, self.patch_out.bias))

    def forward(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        """Predicts the noise in latents or images (B, in_channels, n_rows, W) at timesteps (B,); same shape."""
        embedding = self.embedding(timestep_features(timesteps, self.n_features))
        h = self.patch_in(functional.pixel_unshuffle(x_t, self.patch)) + self.rows
        skips = []
        for i, blocks in enumerate(self.down):
            h = self._run(blocks, h, embedding)
            if i < len(self.downsample):
                skips.append(h)
                h = self.downsample[i](h)
        for i in reversed(range(len(self.up))):
            h = self._run(self.up[i], torch.cat([self.upsample[i](h), skips[i]], dim=1), embedding)
        return functional.pixel_shuffle(self.patch_out(functional.silu(self.norm_out(h))), self.patch)

    @staticmethod
    def _run(blocks: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
        for block in cast(nn.ModuleList, blocks):
            h = block(h, embedding)
        return h
