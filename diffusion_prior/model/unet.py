"""The default backbone: a one-dimensional U-Net that patches time early and attends at its coarse resolutions."""

import itertools
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

REFERENCE_LENGTH = 1000
"""Length in samples at which the length embedding is zero."""


def fourier_features(c: Tensor, n_features: int) -> Tensor:
    """Embeds a scalar per record in sines and cosines at frequencies from 1 to 100, shape (B, n_features)."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(100.0), n_features // 2, device=c.device, dtype=c.dtype))
    angles = c[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """Two convolutions of an odd kernel size, with scale and shift from the embedding, and dropout, between them."""

    def __init__(self, n_in: int, n_out: int, n_embedding: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(8, n_in)
        self.conv_in = nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2)
        self.modulation = nn.Linear(n_embedding, 2 * n_out)
        self.norm_out = nn.GroupNorm(8, n_out)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv1d(n_out, n_out, kernel_size, padding=kernel_size // 2)
        self.skip = nn.Conv1d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Maps (B, n_in, N) and the embedding (B, n_embedding) to (B, n_out, N)."""
        out = self.conv_in(functional.silu(self.norm_in(h)))
        scale, shift = self.modulation(embedding)[:, :, None].chunk(2, dim=1)
        out = functional.silu(torch.addcmul(shift, self.norm_out(out), 1 + scale))
        return self.skip(h) + self.conv_out(self.dropout(out))


class AttentionBlock(nn.Module):
    """Self-attention over time, in heads of `head_size` channels."""

    def __init__(self, n_channels: int, head_size: int = 32) -> None:
        super().__init__()
        self.n_heads = n_channels // head_size
        self.norm = nn.GroupNorm(8, n_channels)
        self.qkv = nn.Linear(n_channels, 3 * n_channels)
        self.out = nn.Linear(n_channels, n_channels)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Tensor) -> Tensor:
        """Maps (B, n_channels, N) to the same shape."""
        n_batch, n_channels, n_tokens = h.shape
        qkv = self.qkv(self.norm(h).transpose(1, 2)).view(n_batch, n_tokens, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.training or (q.requires_grad and q.dtype != torch.float32):
            # The fused kernel's backward pass is a third slower in bfloat16, and on a GPU not the same each time.
            out = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
        else:
            out = functional.scaled_dot_product_attention(q, k, v)
        out = self.out(out.transpose(1, 2).reshape(n_batch, n_tokens, n_channels))
        return h + out.transpose(1, 2)


class UNet1d(nn.Module):
    """One-dimensional U-Net.

    Args:
        n_in: Input channels: leads, and conditioning channels.
        n_out: Output channels.
        n_labels: Length of the label vector; 0 for a network without labels.
        channels: Channels of each resolution, finest first, multiples of 32.
        patch: Samples that one token of the finest resolution covers.
        n_blocks: Residual blocks of each resolution, on either side.
        kernel_sizes: Kernel size of each resolution.
        attention: Whether each resolution attends.
        dropout: Dropout probability in the residual blocks.
        n_covariates: Length of the vector of encoded covariates; 0 for a network without.

    Raises:
        ValueError: If `channels`, `kernel_sizes` and `attention` differ in length.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_labels: int = 71,
        channels: Sequence[int] = (96, 192, 320),
        patch: int = 4,
        n_blocks: int = 2,
        kernel_sizes: Sequence[int] = (5, 3, 3),
        attention: Sequence[bool] = (False, True, True),
        dropout: float = 0.0,
        n_covariates: int = 0,
    ) -> None:
        super().__init__()
        if not len(channels) == len(kernel_sizes) == len(attention):
            raise ValueError("channels, kernel_sizes and attention need one entry for each resolution")
        self.patch, self.stride = patch, patch * 2 ** (len(channels) - 1)
        n_embedding = 2 * max(channels)
        self.n_frequencies = max(channels)
        self.embed_noise = nn.Sequential(nn.Linear(self.n_frequencies, n_embedding), nn.SiLU())
        self.embed_label = nn.Linear(n_labels, n_embedding, bias=False) if n_labels else None
        # The more beats, the more of a lead's amplitude shows through strong noise: the network has to know the length.
        self.embed_length = nn.Linear(1, n_embedding, bias=False)
        nn.init.zeros_(self.embed_length.weight)
        self.embed_covariates = nn.Linear(n_covariates, n_embedding, bias=False) if n_covariates else None
        if self.embed_covariates is not None:  # zero: weights that were trained without covariates stay as they are
            nn.init.zeros_(self.embed_covariates.weight)
        self.embedding = nn.Sequential(nn.Linear(n_embedding, n_embedding), nn.SiLU())
        self.patch_in = nn.Conv1d(n_in, channels[0], patch, stride=patch)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()

        def blocks_at(n_first: int, n_rest: int, i: int) -> nn.ModuleList:
            blocks = nn.ModuleList()
            for _ in range(n_blocks):
                blocks.append(ResidualBlock(n_first, channels[i], n_embedding, kernel_sizes[i], dropout))
                blocks.append(AttentionBlock(channels[i]) if attention[i] else nn.Identity())
                n_first = n_rest
            return blocks

        for i, n in enumerate(channels):
            self.down.append(blocks_at(n, n, i))
        for i, n in enumerate(channels[:-1]):
            self.up.append(blocks_at(2 * n, n, i))
        pairs = list(itertools.pairwise(channels))
        self.downsample = nn.ModuleList(nn.Conv1d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.upsample = nn.ModuleList(nn.Conv1d(coarse, fine, 1) for fine, coarse in pairs)
        self.norm_out = nn.GroupNorm(8, channels[0])
        self.patch_out = nn.ConvTranspose1d(channels[0], n_out, patch, stride=patch)
        nn.init.zeros_(self.patch_out.weight)

    def forward(self, x: Tensor, c_noise: Tensor, label: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Runs the network on `x (B, n_in, L)`, any L, to (B, n_out, L).

        `c_noise (B,)` is the noise level, log sigma / 4; `label (B, n_labels)` is multi-hot, zero where not known;
        `covariates (B, n_covariates)` are encoded, None where none is known.
        """
        length = x.shape[-1]
        h = self.patch_in(functional.pad(x, (0, -length % self.stride)))
        embedding = self.embed_noise(fourier_features(c_noise, self.n_frequencies))
        embedding = embedding + self.embed_length(x.new_full((1, 1), math.log2(length / REFERENCE_LENGTH)))
        if self.embed_label is not None:
            embedding = embedding + self.embed_label(label)
        if self.embed_covariates is not None and covariates is not None:
            embedding = embedding + self.embed_covariates(covariates)
        embedding = self.embedding(embedding)
        skips = []
        for i, blocks in enumerate(self.down):
            h = self._run(blocks, h, embedding)
            if i < len(self.downsample):
                skips.append(h)
                h = self.downsample[i](h)
        for i in reversed(range(len(self.up))):
            h = functional.interpolate(self.upsample[i](h), scale_factor=2.0, mode="nearest")
            h = self._run(self.up[i], torch.cat([h, skips[i]], dim=1), embedding)
        return self.patch_out(functional.silu(self.norm_out(h)))[..., :length]

    @staticmethod
    def _run(blocks: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
        for block in cast(nn.ModuleList, blocks):
            h = block(h, embedding) if isinstance(block, ResidualBlock) else block(h)
        return h
