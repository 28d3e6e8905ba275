"""SaShiMi, the backbone of RhythmDiff: a U-Net of bidirectional S4 layers.

References:
    Goel et al., It's Raw! Audio Generation with State-Space Models, 2022, arXiv 2202.09729.
"""

import itertools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffusion_prior.model.kept import Kept
from diffusion_prior.model.state_space import S4Layer, nested


class PointwiseConv(nn.Module):
    """A convolution of kernel size one with normalised weights, `weight_g weight_v / |weight_v|`."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        weight = nn.init.kaiming_normal_(torch.empty(n_out, n_in, 1))
        self.weight_g = nn.Parameter(weight.norm(dim=(1, 2), keepdim=True))
        self.weight_v = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-1, 1) / math.sqrt(n_in))
        self.kept = Kept()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, n_in, L) to (B, n_out, L)."""
        return functional.conv1d(x, self.kept(*self._weight()), self.bias)

    def refresh(self) -> None:
        """Brings the kept weight up to date."""
        self.kept.refresh(*self._weight())

    def weight(self) -> Tensor:
        """Returns the normalised weight, shape (n_out, n_in, 1)."""
        return self.weight_v * (self.weight_g / self.weight_v.norm(dim=(1, 2), keepdim=True))

    def _weight(self) -> tuple[Sequence[Tensor], bool, Hashable, Callable[[], Tensor]]:
        return (self.weight_g, self.weight_v), self.training, 0, self.weight


class ChannelNorm(nn.Module):
    """Normalises each sample over its channels: `s (x - mean + m) / std`, with one `s` and one `m` for all.

    Where the channels hardly differ, `std` counts as `std_min`, and the result and its gradient are finite.
    """

    def __init__(self, std_min: float = 1e-12) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.zeros(1))
        self.s = nn.Parameter(torch.ones(1))
        self.std_min = std_min

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, L) to the same shape."""
        x = x - x.mean(dim=1, keepdim=True)
        # Much faster than `std_mean` where the channels are not the last dimension.
        variance = x.square().mean(dim=1, keepdim=True)
        scale = self.s * variance.clamp(min=self.std_min**2).rsqrt()
        return torch.addcmul(scale * self.m, x, scale)


class ResidualBlock(nn.Module):
    """An S4 layer and a pointwise network, each behind a normalisation and with a skip connection.

    Args:
        n_channels: Channels H.
        length: Length that the S4 kernels are set up for.
        ff: Factor of channels inside the pointwise network.
        n_step: Length of the noise step's embedding.
        n_label: Length of the label's embedding; 0 without labels.
        conjugate_pairs: See `S4Kernel`.
    """

    def __init__(self, n_channels: int, length: int, ff: int, n_step: int, n_label: int, conjugate_pairs: bool) -> None:
        super().__init__()
        self.fc_t = nn.Linear(n_step, n_channels)
        self.fc_label = nn.Linear(n_label, n_channels) if n_label else None
        self.layer = S4Layer(n_channels, length, conjugate_pairs)
        widen, narrow = PointwiseConv(n_channels, ff * n_channels), PointwiseConv(ff * n_channels, n_channels)
        self.ff = nested(ff=nn.Sequential(nested(conv=widen), nn.GELU(), nested(conv=narrow)))
        self.norm1, self.norm2 = ChannelNorm(), ChannelNorm()

    def forward(self, x: Tensor, step: Tensor, label: Tensor | None) -> Tensor:
        """Maps (B, H, l) to the same shape, with embeddings (B, n_step) and (B, n_label)."""
        y = self.layer(self.norm1(x) + self.fc_t(step)[..., None])
        if label is not None and self.fc_label is not None:
            y = y + self.fc_label(label)[..., None]
        x = x + y
        return x + cast(Tensor, self.ff(self.norm2(x)))


class Pool(nn.Module):
    """Moves samples into channels, or back, with a linear map of the channels.

    Of `factor` samples one becomes; where it is negative, one becomes as many.
    """

    def __init__(self, n_in: int, n_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nested(conv=PointwiseConv(n_in * max(factor, 1), n_out * max(-factor, 1)))

    def forward(self, x: Tensor, step: Tensor, label: Tensor | None) -> Tensor:
        """Maps (B, n_in, l) to (B, n_out, l / factor), or (B, n_out, -factor l)."""
        if self.factor > 0:
            return cast(Tensor, self.linear(x.unflatten(-1, (-1, self.factor)).transpose(2, 3).flatten(1, 2)))
        x = self.linear(x)
        return x.unflatten(1, (-1, -self.factor)).transpose(2, 3).flatten(2)


class Sashimi(nn.Module):
    """The network of RhythmDiff, with its names and shapes of weights.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        unconditional: Whether there are no labels.
        d_model: Channels of the finest resolution.
        n_layers: Residual blocks of each resolution, on either side.
        pool: Factor by which each resolution is coarser than the one before.
        expand: Factor by which it has more channels.
        ff: Factor of channels inside the pointwise networks.
        unet: Whether there are blocks on the way down as well.
        label_embed_classes: Length of the label vector.
        label_embed_dim: Length of its embedding.
        diffusion_step_embed_dim_in: Sines and cosines of the noise step.
        diffusion_step_embed_dim_mid: Length of the embedding between its two layers.
        diffusion_step_embed_dim_out: Length of the embedding.
        L: Length that the S4 kernels are set up for; others can be run.
        conjugate_pairs: Whether both states of each pair of complex conjugates count: see `S4Kernel`.

    Attributes:
        stride: The lengths of signals are multiples of this.
    """

    def __init__(
        self,
        in_channels: int = 9,
        out_channels: int = 9,
        unconditional: bool = False,
        d_model: int = 64,
        n_layers: int = 4,
        pool: Sequence[int] = (1, 2, 2),
        expand: int = 2,
        ff: int = 2,
        unet: bool = True,
        label_embed_classes: int = 71,
        label_embed_dim: int = 128,
        diffusion_step_embed_dim_in: int = 128,
        diffusion_step_embed_dim_mid: int = 512,
        diffusion_step_embed_dim_out: int = 512,
        L: int = 1024,  # noqa: N803
        conjugate_pairs: bool = False,
    ) -> None:
        super().__init__()
        self.stride = math.prod(pool)
        if L < 1 or L % self.stride:
            raise ValueError(f"L must be a multiple of the pools' product {self.stride}, got {L}")
        n_label = 0 if unconditional else label_embed_dim
        self.n_frequencies = diffusion_step_embed_dim_in // 2

        def blocks(n_channels: int, length: int) -> list[nn.Module]:
            settings = ff, diffusion_step_embed_dim_out, n_label, conjugate_pairs
            return [ResidualBlock(n_channels, length, *settings) for _ in range(n_layers)]

        self.init_conv = nn.Sequential(nested(conv=PointwiseConv(in_channels, d_model)), nn.ReLU())
        self.fc_t1 = nn.Linear(diffusion_step_embed_dim_in, diffusion_step_embed_dim_mid)
        self.fc_t2 = nn.Linear(diffusion_step_embed_dim_mid, diffusion_step_embed_dim_out)
        self.embedding = None if unconditional else nn.Embedding(label_embed_classes, label_embed_dim)
        down, up, length, n = list[nn.Module](), list[nn.Module](), L, d_model
        for factor in pool:
            up = [Pool(n * expand, n, -factor), *blocks(n, length), *up]
            down += [*(blocks(n, length) if unet else []), Pool(n, n * expand, factor)]
            length, n = length // factor, n * expand
        self.d_layers, self.u_layers = nn.ModuleList(down), nn.ModuleList(up)
        self.c_layers = nn.ModuleList(blocks(n, length))
        self.norm = ChannelNorm()
        last_conv = nn.Conv1d(d_model, out_channels, 1)
        for weight in last_conv.parameters():
            nn.init.zeros_(weight)
        self.final_conv = nn.Sequential(nested(conv=PointwiseConv(d_model, d_model)), nn.ReLU(), nested(conv=last_conv))
        self.unet = unet

    @property
    def keep_kernels(self) -> bool:
        """Whether kernels and normalised weights are kept from call to call while the weights stay as they are."""
        return all(kept.enabled for kept in self._all_kept())

    @keep_kernels.setter
    def keep_kernels(self, keep: bool) -> None:
        for kept in self._all_kept():
            kept.enabled = keep

    def forward(self, x: Tensor, step: Tensor, label: Tensor | None = None) -> Tensor:
        """Maps `x (B, in_channels, l)`, l a multiple of `stride`, to (B, out_channels, l).

        `step (B,)` is the noise step, `label (B, label_embed_classes)` multi-hot, zero where not known, not read by an
        unconditional network. Raises ValueError for another length, or where there is no label but the network takes
        one.
        """
        if x.shape[-1] % self.stride:
            raise ValueError(f"the length must be a multiple of {self.stride}, got {x.shape[-1]}: pad it with zeros")
        embedded = None
        if self.embedding is not None:
            if label is None:
                raise ValueError("this network takes labels: give a row of zeros where they are not known")
            embedded = label @ self.embedding.weight
        frequencies = torch.exp(
            -math.log(10000.0)
            / (self.n_frequencies - 1)
            * torch.arange(self.n_frequencies, device=x.device, dtype=x.dtype)
        )
        angles = step[:, None] * frequencies
        step = functional.silu(self.fc_t1(torch.cat([angles.sin(), angles.cos()], dim=1)))
        step = functional.silu(self.fc_t2(step))
        x = self.init_conv(x)
        skips = [x]
        for layer in self.d_layers:
            x = layer(x, step, embedded)
            skips.append(x)
        for layer in self.c_layers:
            x = layer(x, step, embedded)
        x = x + skips.pop()
        for layer in self.u_layers:
            x = layer(x, step, embedded)
            if self.unet or isinstance(layer, Pool):
                x = x + skips.pop()
        return cast(Tensor, self.final_conv(self.norm(x)))

    def refresh(self, length: int) -> None:
        """Brings what is kept for signals of a length up to date, for compiled code, which cannot look for changes."""
        for layer in itertools.chain(self.d_layers, self.c_layers, self.u_layers):
            if isinstance(layer, ResidualBlock):
                layer.layer.refresh(length)
            elif isinstance(layer, Pool):
                length = length // layer.factor if layer.factor > 0 else length * -layer.factor
        for module in self.modules():
            if isinstance(module, PointwiseConv):
                module.refresh()

    def _all_kept(self) -> list[Kept]:
        return [m.kept for m in self.modules() if isinstance(m, (S4Layer, PointwiseConv))]
