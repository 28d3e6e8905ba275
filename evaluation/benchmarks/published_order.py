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

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.state_space import S4Kernel


class PublishedOrder(nn.Module):
    """The weights of a `Sashimi`, computed as the published code does without its extensions.

    Args:
        network: The network; its weights are shared, not copied.

    Attributes:
        stride: Lengths must be a multiple of it.
    """

    def __init__(self, network: Sashimi) -> None:
        super().__init__()
        self.network, self.stride = network, network.stride
        self._weights: dict[str, Tensor] = network.state_dict(keep_vars=True)
        self._has_skips = any(name.startswith("d_layers.") and ".norm1." in name for name in self._weights)
        self._conjugate_pairs = any(m.conjugate_pairs for m in network.modules() if isinstance(m, S4Kernel))
        self._nodes: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
        """Finds the noise.

        Args:
            x: Noised ECG, shape (B, C, L), L at most the length of the network's kernels and a multiple of `stride`.
            step: Diffusion step, shape (B,).
            label: Multi-hot label vector, shape (B, n_labels).

        Returns:
            Noise, shape (B, C, L).
        """
        w = self._weights
        embedded_label = label @ w["embedding.weight"] if "embedding.weight" in w else None
        embedded_step = self._embed(step)
        x = self._normed_conv("init_conv.0.conv", x).relu()
        skips, factors, n_down = [], [], self._count("d_layers")
        for layer in (f"d_layers.{i}" for i in range(n_down)):
            skips.append(x)
            if f"{layer}.linear.conv.weight_v" in w:
                factors.append(w[f"{layer}.linear.conv.weight_v"].shape[1] // x.shape[1])
                x = self._normed_conv(f"{layer}.linear.conv", _fold(x, factors[-1]))
            else:
                x = self._block(layer, x, embedded_step, embedded_label)
        skips.append(x)
        for i in range(self._count("c_layers")):
            x = self._block(f"c_layers.{i}", x, embedded_step, embedded_label)
        x = x + skips.pop()
        for layer in (f"u_layers.{i}" for i in range(self._count("u_layers"))):
            if f"{layer}.linear.conv.weight_v" in w:
                x = _unfold(self._normed_conv(f"{layer}.linear.conv", x), factors.pop()) + skips.pop()
            else:
                x = self._block(layer, x, embedded_step, embedded_label)
                x = x + skips.pop() if self._has_skips else x
        x = self._normed_conv("final_conv.0.conv", self._norm("norm", x)).relu()
        return functional.conv1d(x, w["final_conv.2.conv.weight"], w["final_conv.2.conv.bias"])

    def _count(self, name: str) -> int:
        """Returns the number of layers of a list."""
        return len({key.split(".")[1] for key in self._weights if key.startswith(f"{name}.")})

    def _embed(self, step: Tensor) -> Tensor:
        """Embeds the diffusion step in sines and cosines, then two linear layers with SiLU, shape (B, n)."""
        w = self._weights
        half = w["fc_t1.weight"].shape[1] // 2
        rates = torch.exp(-math.log(1e4) / (half - 1) * torch.arange(half, device=step.device, dtype=step.dtype))
        angles = step[:, None] * rates
        embedded = torch.cat([angles.sin(), angles.cos()], dim=1)
        for name in ("fc_t1", "fc_t2"):
            embedded = functional.linear(embedded, w[f"{name}.weight"], w[f"{name}.bias"])
            embedded = embedded * embedded.sigmoid()
        return embedded

    def _normed_conv(self, name: str, x: Tensor) -> Tensor:
        """Convolves with a filter of one sample, whose weight is made of a direction and a size at every call."""
        v, size = self._weights[f"{name}.weight_v"], self._weights[f"{name}.weight_g"]
        weight = v * (size / v.norm(dim=(1, 2), keepdim=True))
        return functional.conv1d(x, weight, self._weights[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        """Normalises over channels (B, H, L)."""
        std, mean = torch.std_mean(x, dim=-2, unbiased=False, keepdim=True)
        return (self._weights[f"{name}.s"] / std) * (x - mean + self._weights[f"{name}.m"])

    def _block(self, name: str, x: Tensor, step: Tensor, label: Tensor | None) -> Tensor:
        """Runs a residual block: the state space layer, then two convolutions."""
        w = self._weights
        y = self._norm(f"{name}.norm1", x)
        y = y + functional.linear(step, w[f"{name}.fc_t.weight"], w[f"{name}.fc_t.bias"])[..., None]
        y = self._state_space(f"{name}.layer", y)
        if label is not None:
            y = y + functional.linear(label, w[f"{name}.fc_label.weight"], w[f"{name}.fc_label.bias"])[..., None]
        x = x + y
        y = self._normed_conv(f"{name}.ff.ff.0.conv", self._norm(f"{name}.norm2", x))
        return x + self._normed_conv(f"{name}.ff.ff.2.conv", functional.gelu(y))

    def _state_space(self, name: str, u: Tensor) -> Tensor:
        """Convolves each channel (B, H, L) with its two-sided kernel, then mixes the channels."""
        w, length = self._weights, u.shape[-1]
        forwards, backwards = self._kernels(f"{name}.kernel.kernel", length)
        kernel = functional.pad(forwards, (0, length)) + functional.pad(backwards.flip(-1), (length, 0))
        spectrum = torch.fft.rfft(kernel[None], n=2 * length)
        y = torch.einsum("bhl,chl->bchl", torch.fft.rfft(u, n=2 * length), spectrum)
        y = torch.fft.irfft(y, n=2 * length)[..., :length]
        y = y + torch.einsum("bhl,ch->bchl", u, w[f"{name}.D"])
        y = functional.gelu(y.flatten(1, 2))
        y = functional.conv1d(y, w[f"{name}.output_linear.0.weight"], w[f"{name}.output_linear.0.bias"])
        return functional.glu(y, dim=-2)

    def _kernels(self, name: str, length: int) -> Tensor:
        """Makes the two kernels of a layer, shape (2, H, L)."""
        part = {key: self._weights[f"{name}.{key}"] for key in ("log_dt", "B", "C", "P", "inv_w_real", "w_imag", "L")}
        full = int(part["L"])
        if length > full:
            raise ValueError(f"the published order makes kernels of up to {full} samples here, got {length}")
        dt = part["log_dt"].exp()
        b, c, p = (torch.view_as_complex(part[key]) for key in ("B", "C", "P"))
        poles = (-part["inv_w_real"].exp() + 1j * part["w_imag"]) * dt[:, None]
        omega, z = self._roots(full, poles.device)
        v = torch.cat([b, p])[:, None] * torch.cat([c, p.conj()])[None]
        # The resolvent, (2, 3, H, N, nodes) before the sum over the states.
        r = (v[..., None] / (z - poles[..., None])).sum(dim=-2)
        if self._conjugate_pairs:
            r = r + (v.conj()[..., None] / (z - poles.conj()[..., None])).sum(dim=-2)
        r = r * dt[:, None]
        spectrum = r[:-1, :-1] - r[:-1, -1:] * r[-1:, :-1] / (1 + r[-1:, -1:])
        return torch.fft.irfft(spectrum * 2 / (1 + omega), n=full)[0, ..., :length]

    def _roots(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns the roots of unity and their bilinear transforms, which the published code keeps too."""
        if (length, device) not in self._nodes:
            angle = torch.tensor(-2j * math.pi / length, dtype=torch.complex64, device=device)
            omega = angle.exp() ** torch.arange(length // 2 + 1, device=device)
            self._nodes[length, device] = omega, 2 * (1 - omega) / (1 + omega)
        return self._nodes[length, device]


def _fold(x: Tensor, factor: int) -> Tensor:
    """Moves neighbouring samples into channels: (B, H, L) to (B, H factor, L / factor)."""
    n, channels, length = x.shape
    x = x.reshape(n, channels, length // factor, factor)
    return x.transpose(2, 3).reshape(n, channels * factor, length // factor)


def _unfold(x: Tensor, factor: int) -> Tensor:
    """Moves channels into neighbouring samples: (B, H factor, L) to (B, H, L factor)."""
    n, channels, length = x.shape
    x = x.reshape(n, channels // factor, factor, length)
    return x.transpose(2, 3).reshape(n, channels // factor, length * factor)
