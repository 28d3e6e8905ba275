"""Structured state spaces (S4): long convolutions whose kernels are those of linear state spaces.

References:
    Gu, Goel & Re, Efficiently Modeling Long Sequences with Structured State Spaces, 2022, arXiv 2111.00396.
    Goel et al., It's Raw! Audio Generation with State-Space Models, 2022, arXiv 2202.09729.
"""

import functools
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffusion_prior.model.kept import Kept


@functools.lru_cache(maxsize=4)
def hippo_legs(n_states: int) -> tuple[Tensor, Tensor, Tensor]:
    """HiPPO-LegS in the diagonalised form `A = diag(w) - P P^*` (S4 paper, Theorem 1 and Appendix C.1).

    With `P_n = sqrt(n + 1/2)`, `A + P P^T + I / 2` is real and skew-symmetric. In the basis of its eigenvectors, which
    is unitary, it is diagonal; P and `B_n = sqrt(2 n + 1)` are brought into the same basis.

    Returns `w`, `P` and `B` of one state of each pair of complex conjugates, that with the negative imaginary part;
    complex 128 bit, shape (n_states / 2,) each, with `n_states` even.
    """
    q = (2 * torch.arange(n_states, dtype=torch.float64, device="cpu") + 1).sqrt()
    skew = (torch.triu(q[:, None] * q, 1) - torch.tril(q[:, None] * q, -1)) / 2
    frequencies, vectors = torch.linalg.eigh(-1j * skew.to(torch.complex128))
    frequencies, vectors = frequencies[: n_states // 2], vectors[:, : n_states // 2]
    # Eigenvectors have any phase. It does not matter, but should not depend on the machine.
    vectors = vectors * (vectors[0].conj() / vectors[0].abs())
    w = torch.complex(torch.full_like(frequencies, -0.5), frequencies)
    b = vectors.mH @ q.to(vectors.dtype)
    return w, b / math.sqrt(2), b


class S4Kernel(nn.Module):
    r"""The kernels of linear state spaces, one for each channel and direction.

    The state space `x' = A x + B u, y = C x` with `A = diag(w) - P P^*` is discretised by the bilinear transform with
    step size `dt`, to `x_k = A_d x_(k-1) + B_d u_k`. Its kernel `C A_d^k B_d` up to length L has the spectrum
    `C~ (I - A_d z)^-1 B_d` at the L-th roots of unity z, with `C~ = C (I - A_d^L)`, which is what the parameter `C`
    holds: sums over a Cauchy matrix, by the Woodbury identity (S4 paper, Appendix C.3). For a longer kernel
    `C~ (I + A_d^L)` takes its place, with 2 L, and so on.

    The S4 paper stores one state of each pair of complex conjugates, and sums over both: `conjugate_pairs`. Where the
    published code has neither its CUDA extension nor KeOps it leaves the others out. The system is then a complex one,
    and the kernel the real sequence whose spectrum is the complex kernel's at the frequencies from 0 to 1/2. (That
    depends on the length: a longer kernel begins with the shorter one only where pairs count.) Weights trained for one
    of the two do not fit the other.

    Args:
        n_channels: Channels H.
        length: Length L that `C` is set up for.
        n_states: States of each channel's real system; half of them are stored.
        n_kernels: Kernels of each channel, of the same system with another `C`.
        dt_min: Smallest step size at the start.
        dt_max: Largest step size at the start.
        conjugate_pairs: Whether both states of each pair count.
    """

    L: Tensor

    def __init__(
        self,
        n_channels: int,
        length: int,
        n_states: int = 64,
        n_kernels: int = 2,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        conjugate_pairs: bool = False,
    ) -> None:
        super().__init__()
        self.conjugate_pairs = conjugate_pairs
        self.log_dt = nn.Parameter(torch.empty(n_channels).uniform_(math.log(dt_min), math.log(dt_max)))
        w, p, b = (v.to(self.log_dt.device).expand(n_channels, -1).clone() for v in hippo_legs(n_states))
        self.B = nn.Parameter(torch.view_as_real(b)[None].float())
        self.P = nn.Parameter(torch.view_as_real(p)[None].float())
        self.inv_w_real = nn.Parameter((-w.real).log().float())
        self.w_imag = nn.Parameter(w.imag.float().clone())
        self.C = nn.Parameter(torch.randn(n_kernels, n_channels, n_states // 2, 2) * 0.5**0.5)
        self.register_buffer("L", torch.tensor(length))
        self._length = length
        with torch.no_grad():
            c = torch.view_as_complex(self.C)
            self.C.copy_(torch.view_as_real(c - self._times_power(c, length)))

    def forward(self, length: int) -> Tensor:
        """Returns the kernels up to a length, shape (n_kernels, H, length).

        Raises:
            ValueError: If the weights were saved before `C` was set up.
        """
        n = self._length
        if n < 1:
            raise ValueError("these S4 weights were saved before their first use: they lack the length of C")
        with torch.autocast(self.C.device.type, enabled=False):
            c = torch.view_as_complex(_at_least_float(self.C))
            while n < length:
                c, n = c + self._times_power(c, n), 2 * n
            return torch.fft.irfft(self._generating_function(c, n), n=n)[..., :length]

    def _system(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns `dt w`, `dt P` and `dt B`, shape (H, N) each."""
        dt = _at_least_float(self.log_dt).exp()[:, None]
        w = torch.complex(-_at_least_float(self.inv_w_real).exp(), _at_least_float(self.w_imag))
        p, b = (torch.view_as_complex(_at_least_float(v))[0] for v in (self.P, self.B))
        return dt * w, dt * p, dt * b

    def _generating_function(self, c: Tensor, n: int) -> Tensor:
        """Returns the spectra of the kernels of length `n` at the frequencies from 0 to 1/2.

        The S4 paper's sums over `1 / (2 (1 - z) / (1 + z) - dt w)` have a pole at z = -1. With z = e^(-2 i h) they are
        sums over `1 / (2 i sin h - cos h dt w)`, but for factors that follow below, and have none.
        """
        w, p, b = self._system()
        q = torch.view_as_complex(_at_least_float(self.P))[0].conj()
        rows = torch.cat([c, q[None]])
        v = torch.cat([rows * b, rows * p]).transpose(0, 1)  # (H, 2 (K + 1), N)
        if self.conjugate_pairs:
            w, v = torch.cat([w, w.conj()], dim=-1), torch.cat([v, v.conj()], dim=-1)
        half_angles = math.pi / n * torch.arange(n // 2 + 1, device=c.device, dtype=torch.float64)
        sin, cos = half_angles.sin().to(w.real), half_angles.cos().to(w.real)
        # The Cauchy matrix 1 / (2 i sin - cos w) in real arithmetic: (-cos Re w - i d) / |...|^2.
        d = torch.addcmul(2 * sin, cos, w.imag[..., None], value=-1)
        g = torch.addcmul(d.square(), cos.square(), w.real[..., None].square()).reciprocal()
        v_real, v_imag = torch.view_as_real(v.resolve_conj()).unbind(-1)
        parts = torch.cat([v_real, v_imag], dim=1)
        real, imag = (-parts * w.real[:, None]) @ g * cos, parts @ (d * g)
        n_rows = v.shape[1]
        sums = torch.complex(real[:, :n_rows] + imag[:, n_rows:], real[:, n_rows:] - imag[:, :n_rows])
        by_b, by_p = sums.transpose(0, 1).chunk(2)
        # Woodbury.
        spectrum = by_b[:-1] - cos * by_p[:-1] * by_b[-1:] / (1 + cos * by_p[-1:])
        return spectrum * torch.polar(torch.ones_like(half_angles), half_angles).to(spectrum.dtype)

    def _times_power(self, c: Tensor, n: int) -> Tensor:
        """Returns `c A_d^n`, of the shape of `c` (K, H, N), computed in double precision."""
        dt = self.log_dt.double().exp()[:, None, None]
        w = torch.complex(-self.inv_w_real.double().exp(), self.w_imag.double())
        p = torch.view_as_complex(self.P.double())[0, :, :, None]
        a, rows = torch.diag_embed(w) - p @ p.mH, c.to(w.dtype).transpose(0, 1)
        if self.conjugate_pairs:
            # A real system, in the real and the imaginary parts of the first of each pair.
            crossed = -p @ p.mT
            upper = torch.cat([(a + crossed).real, (crossed - a).imag], dim=-1)
            lower = torch.cat([(a + crossed).imag, (a - crossed).real], dim=-1)
            rows = torch.cat([rows.real, -rows.imag], dim=-1)
            real, imag = (rows @ _discrete_power(dt * torch.cat([upper, lower], dim=-2), n)).chunk(2, dim=-1)
            rows = torch.complex(real, -imag)
        elif not torch.is_grad_enabled() and bool((a == a[:1]).all()):
            # At the start all channels have the same A, and this one's eigenvectors are nearly orthogonal.
            values, vectors = (v.to(a.device) for v in torch.linalg.eig(a[0].cpu()))  # not every GPU build has it
            powers = ((1 + dt * values / 2) / (1 - dt * values / 2)) ** n
            rows = rows @ vectors * powers @ torch.linalg.inv(vectors)
        else:
            rows = rows @ _discrete_power(dt * a, n)
        return rows.transpose(0, 1).to(c.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._length = int(self.L)  # not read from the device at each call


class S4Layer(nn.Module):
    """A bidirectional S4 layer: a long convolution over time, then GELU and a gated linear map over the channels.

    A sample's output takes the sample and its past by the first kernel, what follows it by the second. Arguments are
    those of `S4Kernel`.
    """

    def __init__(self, n_channels: int, length: int, conjugate_pairs: bool = False) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(1, n_channels))
        self.kernel = nested(kernel=S4Kernel(n_channels, length, conjugate_pairs=conjugate_pairs))
        self.output_linear = nn.Sequential(nn.Conv1d(n_channels, 2 * n_channels, 1), nn.GLU(dim=-2))
        self.kept = Kept()

    def forward(self, u: Tensor) -> Tensor:
        """Maps (B, H, l) to the same shape."""
        return cast(Tensor, self.output_linear(functional.gelu(self.convolve(u))))

    def convolve(self, u: Tensor) -> Tensor:
        """Returns the long convolution alone, of the shape of `u` (B, H, l)."""
        spectrum = self.kept(*self._spectrum_for(u.shape[-1]))
        with torch.autocast(u.device.type, enabled=False):
            return long_convolution(_at_least_float(u), spectrum).to(self.D.dtype)

    def refresh(self, length: int) -> None:
        """Brings the kept spectrum of a length up to date."""
        self.kept.refresh(*self._spectrum_for(length))

    def _spectrum_for(self, length: int) -> tuple[Sequence[Tensor], bool, Hashable, Callable[[], Tensor]]:
        kernel = cast(S4Kernel, self.kernel.kernel)
        weights, name = (self.D, *kernel.parameters()), (length, kernel.conjugate_pairs)
        return weights, self.training, name, lambda: self.spectrum(length)

    def spectrum(self, length: int) -> Tensor:
        """Returns the spectrum of the two-sided kernel of a length, complex, shape (H, length + 1)."""
        past, future = self.kernel(length)
        now = past[..., :1] + _at_least_float(self.D)[0, :, None]
        return torch.fft.rfft(torch.cat([now, past[..., 1:], future.flip(-1)], dim=-1))


def long_convolution(u: Tensor, spectrum: Tensor) -> Tensor:
    """Returns the convolution of a signal `u (B, H, l)` with a two-sided kernel of twice its length, of its shape.

    The kernel is given by its spectrum, (H, l + 1); its samples from l on are those of negative times.
    """
    return cast(Tensor, _LongConvolution.apply(u, spectrum))  # type: ignore[no-untyped-call]


class _LongConvolution(torch.autograd.Function):
    # The transpose of the convolution is the convolution with the conjugate spectrum. PyTorch's own derivatives of real
    # Fourier transforms go through complex ones of both halves, and keep spectra that are not needed.
    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, spectrum: Tensor) -> Tensor:
        length = u.shape[-1]
        return torch.fft.irfft(torch.fft.rfft(u, n=2 * length).mul_(spectrum), n=2 * length)[..., :length]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ANN401
        u, spectrum = inputs
        ctx.save_for_backward(u if ctx.needs_input_grad[1] else None, spectrum)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        u, spectrum = ctx.saved_tensors
        grad_u = long_convolution(grad, spectrum.conj()) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return grad_u, None
        n = 2 * u.shape[-1]
        products = (torch.fft.rfft(u, n=n).conj() * torch.fft.rfft(grad, n=n)).sum(dim=0)
        twins = torch.full((n // 2 + 1,), 2 / n, device=u.device, dtype=u.dtype)
        twins[0] = twins[-1] = 1 / n  # the frequencies 0 and 1/2 have no twin among the negative ones
        return grad_u, products * twins


def nested(**module: nn.Module) -> nn.Sequential:
    """Returns a module inside another one that only adds its name, as the published names of weights ask for."""
    return nn.Sequential(OrderedDict(module))


def state_space_groups(module: nn.Module, learning_rate: float | None) -> list[dict[str, Any]]:
    """Returns the optimiser's group of A, B and the step sizes of all S4 kernels in a module; none without a rate.

    The S4 paper trains these with a learning rate of their own, at most 1e-3, and without weight decay. A rate, but no
    state space: ValueError.
    """
    if learning_rate is None:
        return []
    kernels = [m for m in module.modules() if isinstance(m, S4Kernel)]
    if not kernels:
        raise ValueError("this network has no state spaces: leave train.state_space_learning_rate null")
    own = [w for k in kernels for w in (k.log_dt, k.B, k.P, k.inv_w_real, k.w_imag)]
    return [{"params": own, "lr": learning_rate, "weight_decay": 0.0}]


def _at_least_float(x: Tensor) -> Tensor:
    """Returns `x` in single precision, or in double precision where it is."""
    return x if x.dtype == torch.float64 else x.float()


def _discrete_power(a: Tensor, n: int) -> Tensor:
    """Returns `((I - a / 2)^-1 (I + a / 2))^n`, the bilinear transform's, of matrices of shape (H, N, N)."""
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return torch.linalg.matrix_power(torch.linalg.solve(identity - a / 2, identity + a / 2), n)
