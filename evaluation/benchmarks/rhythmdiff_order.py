"""RhythmDiff's network in the order in which its published code computes, as what ours is measured against.

On a processor, and on a GPU without the CUDA extension or KeOps, that code makes the kernels of all 28 layers anew at
every call, by the plain sum of the resolvent over the states, and the weights of its convolutions too. Here the weights
of one of our networks run in that order; the result is the same, to rounding.

References:
    Gu, Goel, Re, Efficiently Modeling Long Sequences with Structured State Spaces, ICLR 2022, arXiv 2111.00396
    (Algorithm 1: the kernel from the resolvent at the roots of unity; Appendix C.3: its low-rank correction).
    Goel, Gu, Donahue, Re, It's Raw! Audio Generation with State-Space Models, ICML 2022, arXiv 2202.09729 (SaShiMi).
    Bedin et al., Phil. Trans. R. Soc. A 383:20240330, 2025 (RhythmDiff).
"""

import copy
import math

import torch
from torch import Tensor
from torch.nn import functional

from diffusion_prior.model.sashimi import ChannelNorm, Sashimi
from diffusion_prior.model.state_space import S4Kernel, S4Layer


class PlainNorm(ChannelNorm):
    """Normalises over channels by PyTorch's own standard deviation."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, L) to the same shape."""
        std, mean = torch.std_mean(x, dim=-2, unbiased=False, keepdim=True)
        return (self.s / std) * (x - mean + self.m)


class PlainKernel(S4Kernel):
    """Makes kernels by the plain sum over the states."""

    def forward(self, length: int) -> Tensor:
        """Returns the kernels, cut to a length, shape (2, H, length).

        Raises:
            ValueError: If the length is more than the kernels are set up for.
        """
        full = int(self.L)
        if length > full:
            raise ValueError(f"RhythmDiff's order makes kernels of up to {full} samples here, got {length}")
        dt = self.log_dt.exp()
        b, c, p = (torch.view_as_complex(weight) for weight in (self.B, self.C, self.P))
        poles = (-self.inv_w_real.exp() + 1j * self.w_imag) * dt[:, None]
        angle = torch.tensor(-2j * math.pi / full, dtype=torch.complex64, device=dt.device)
        omega = angle.exp() ** torch.arange(full // 2 + 1, device=dt.device)
        z = 2 * (1 - omega) / (1 + omega)
        v = torch.cat([b, p])[:, None] * torch.cat([c, p.conj()])[None]
        # The resolvent, (2, 3, H, N, nodes) before the sum over the states.
        r = (v[..., None] / (z - poles[..., None])).sum(dim=-2)
        if self.conjugate_pairs:
            r = r + (v.conj()[..., None] / (z - poles.conj()[..., None])).sum(dim=-2)
        r = r * dt[:, None]
        spectrum = r[:-1, :-1] - r[:-1, -1:] * r[-1:, :-1] / (1 + r[-1:, -1:])
        return torch.fft.irfft(spectrum * 2 / (1 + omega), n=full)[0, ..., :length]


class PlainLayer(S4Layer):
    """Convolves with kernels that are made at every call, by PyTorch's own derivatives."""

    def convolve(self, u: Tensor) -> Tensor:
        """Returns the long convolution alone, of the shape of `u` (B, H, L)."""
        length = u.shape[-1]
        past, future = self.kernel(length)
        kernel = functional.pad(past, (0, length)) + functional.pad(future.flip(-1), (length, 0))
        spectrum = torch.fft.rfft(kernel[None], n=2 * length)
        y = torch.einsum("bhl,chl->bchl", torch.fft.rfft(u, n=2 * length), spectrum)
        y = torch.fft.irfft(y, n=2 * length)[..., :length]
        return (y + torch.einsum("bhl,ch->bchl", u, self.D)).flatten(1, 2)


_PLAIN = {ChannelNorm: PlainNorm, S4Kernel: PlainKernel, S4Layer: PlainLayer}


def in_rhythmdiff_order(network: Sashimi) -> Sashimi:
    """Returns a copy of a network that computes as the published code does without its extensions."""
    network = copy.deepcopy(network)
    network.keep_kernels = False
    for module in network.modules():
        module.__class__ = _PLAIN.get(type(module), type(module))
    return network
