"""Linear measurements of an ECG: which leads, which samples, at which rate.

Each operator offers `operator(x)`, its exact adjoint and its Moore-Penrose pseudo-inverse, all on `(..., C, L)` arrays.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from scipy.signal import firwin
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d

from einthoven.ecg.leads import INDEPENDENT_LEADS, canonical_leads, consistent_matrix, independent_part
from reconstruction.measurement.linear_solver import conjugate_gradients

_PINV_TOLERANCE = 1e-12


class LinearOperator(ABC):
    """A linear map `A` from ECGs `(..., C, L)` to measurements `(..., C', L')`, both in mV.

    Attributes:
        observed: Where the measurement has samples (bool, (C', L') or (B, C', L')), else zeros; None: everywhere.
    """

    observed: Tensor | None = None

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Measures an ECG `(..., C, L)`: `A x`."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Applies the transpose to a measurement `(..., C', L')`: `A^T y`."""

    def pinv(self, y: Tensor) -> Tensor:
        """Returns `A^+ y`, `(..., C', L')` to `(..., C, L)`: the shortest ECG that fits `y` best in least squares.

        Conjugate gradients on `A^T A x = A^T y` from zero, for each record by itself.
        """
        tolerance = _PINV_TOLERANCE if y.dtype == torch.float64 else 1e-6
        return conjugate_gradients(lambda x: self.adjoint(self(x)), self.adjoint(y), tolerance)


class SamplewiseOperator(LinearOperator):
    """An operator that mixes leads at each sample by itself: `y[..., :, l] = matrix(l) x[..., :, l]`.

    Attributes:
        consistent: Projection of a sample's leads onto those that obey Einthoven's law, (C, C), float64, if the ECG has
            more than two limb leads and the matrix's rows lie in its range; None: leads are independent.
    """

    consistent: Tensor | None = None

    @abstractmethod
    def matrix(self, like: Tensor) -> Tensor:
        """Returns the matrix at each sample, shape (..., L or 1, m, C), in the type and on the device of `like`."""

    def pinv(self, y: Tensor) -> Tensor:
        """Returns `A^+ y`, `(..., m, L)` to `(..., C, L)`, sample by sample, in closed form."""
        matrix = self.matrix(y.double())
        gram = matrix.mT @ matrix
        return _apply(torch.linalg.pinv(gram, rtol=1e-9, hermitian=True), self.adjoint(y))

    def identified(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Finds which samples of the ECG the measurement determines, whatever the rest may be, on the device of `like`.

        A unit vector is determined where it lies in the row space of the matrix; of an ECG with a lead III of its own,
        its part that obeys Einthoven's law has to: leads I and II determine III.

        Returns:
            Which samples are determined, bool of shape (..., C, L or 1); and whether at each sample (..., L or 1)
            these hold all that was measured.
        """
        share = self.projector(like).diagonal(dim1=-2, dim2=-1)
        if self.consistent is None:
            determined = share > 1 - 1e-6
            return determined.mT, determined.sum(-1) == share.sum(-1).round()
        consistent = self.consistent.to(like.device)
        determined = share > consistent.diagonal() - 1e-6
        held = consistent @ torch.diag_embed(determined.to(consistent)) @ consistent
        complete = torch.linalg.matrix_rank(held, rtol=1e-6, hermitian=True) == share.sum(-1).round()
        return determined.mT, complete

    def projector(self, like: Tensor) -> Tensor:
        """Returns the projections onto the row space of each sample's matrix, shape (..., L or 1, C, C), in float64."""
        matrix = self.matrix(like.double())
        gram = matrix.mT @ matrix
        return torch.linalg.pinv(gram, rtol=1e-9, hermitian=True) @ gram


def _apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiplies `(..., L or 1, m, C)` matrices with the samples of `x (..., C, L)`."""
    matrix = matrix.to(x)
    if matrix.shape[-3] == 1:
        return matrix.squeeze(-3) @ x
    return (matrix @ x.mT.unsqueeze(-1)).squeeze(-1).mT


class LeadSelection(SamplewiseOperator):
    """Leads of an ECG, measured or derived from others.

    An ECG with more than two limb leads is measured as the nearest one that obeys Einthoven's law. So leads I and II
    say what III is, though it may be a lead of its own, and what the adjoint and the pseudo-inverse return obeys it.

    Args:
        leads_out: Measured leads, m names of the twelve.
        leads_in: Leads of the ECG that is measured, C names.

    Raises:
        ValueError: If a measured lead cannot be derived.
    """

    def __init__(self, leads_out: Sequence[str], leads_in: Sequence[str] = INDEPENDENT_LEADS) -> None:
        self.leads_out, self.leads_in = canonical_leads(leads_out), canonical_leads(leads_in)
        self._matrix = torch.from_numpy(consistent_matrix(self.leads_out, self.leads_in))
        if independent_part(self.leads_in) != self.leads_in:
            self.consistent = torch.from_numpy(consistent_matrix(self.leads_in, self.leads_in))
        self._pinv = torch.from_numpy(np.linalg.pinv(self._matrix.numpy()))

    def matrix(self, like: Tensor) -> Tensor:
        """Returns the lead matrix, shape (1, m, C)."""
        return self._matrix.to(like)[None]

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the measured leads, shape (..., m, L), of the ECG `(..., C, L)`."""
        return self._matrix.to(x) @ x

    def adjoint(self, y: Tensor) -> Tensor:
        """Returns the transposed matrix times `y (..., m, L)`, shape (..., C, L)."""
        return self._matrix.to(y).mT @ y

    def pinv(self, y: Tensor) -> Tensor:
        """Returns the shortest ECG `(..., C, L)` that fits the leads `y (..., m, L)` best."""
        return self._pinv.to(y) @ y


class Mask(SamplewiseOperator):
    """Samples that were measured, bool of shape (C, L) or (B, C, L); the others become zero.

    Of an ECG with more than two limb leads, `MeasuredLeads` knows how they depend on each other; this does not.
    """

    def __init__(self, observed: Tensor) -> None:
        self.observed: Tensor = observed.bool()

    def matrix(self, like: Tensor) -> Tensor:
        """Returns diagonal matrices, shape (..., L, C, C)."""
        return torch.diag_embed(self.observed.to(like).mT)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns `x (..., C, L)` with zeros where nothing was measured."""
        return x * self.observed.to(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Returns the same as the operator: it is its own adjoint."""
        return self(y)

    def pinv(self, y: Tensor) -> Tensor:
        """Returns the same as the operator: it is its own pseudo-inverse."""
        return self(y)


class MeasuredLeads(SamplewiseOperator):
    """Samples of some leads: a mask after a lead selection.

    Args:
        observed: True where measured, bool of shape (m, L) or (B, m, L).
        leads_out: As for `LeadSelection`.
        leads_in: As for `LeadSelection`.
    """

    def __init__(self, observed: Tensor, leads_out: Sequence[str], leads_in: Sequence[str] = INDEPENDENT_LEADS) -> None:
        if observed.shape[-2] != len(leads_out):
            raise ValueError(f"the mask has {observed.shape[-2]} rows for {len(leads_out)} leads: give one for each")
        self.selection, self.mask = LeadSelection(leads_out, leads_in), Mask(observed)
        self.observed: Tensor = self.mask.observed
        self.consistent = self.selection.consistent

    def matrix(self, like: Tensor) -> Tensor:
        """Returns the lead matrix with rows of zeros where nothing was measured, shape (..., L, m, C)."""
        return self.selection.matrix(like) * self.observed.to(like).mT.unsqueeze(-1)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the measured leads, shape (..., m, L), of the ECG `(..., C, L)`."""
        return self.mask(self.selection(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """Returns the adjoint of the selection of the masked `y (..., m, L)`, shape (..., C, L)."""
        return self.selection.adjoint(self.mask(y))


class Resampling(LinearOperator):
    """A change of the sampling rate by the ratio `up / down`, band-limited.

    Zeros are put between the samples, a linear-phase low-pass filter is applied and every `down`-th sample is kept;
    beyond its ends the ECG counts as zero. The filter passes half the amplitude at the lower of the two Nyquist
    frequencies.

    Args:
        up: Numerator of the ratio of rates.
        down: Its denominator.
        length: Number of samples L of the ECG that is measured.
        half_width: Half the length of the filter, in samples of the lower of the two rates.
    """

    def __init__(self, up: int, down: int, length: int, half_width: int = 10) -> None:
        divisor = math.gcd(up, down)
        self.up, self.down, self.length = up // divisor, down // divisor, length
        widest = max(self.up, self.down)
        taps = firwin(2 * half_width * widest + 1, 1 / widest, window=("kaiser", 5.0)) if widest > 1 else np.ones(1)
        self._filter = torch.from_numpy(np.asarray(taps, dtype=np.float64) * self.up)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the resampled ECG, shape (..., C, ceil(L up / down)), of the ECG `(..., C, L)`."""
        stuffed = torch.zeros(*x.shape, self.up, dtype=x.dtype, device=x.device)
        stuffed[..., 0] = x
        kernel = self._filter.to(x)[None, None]
        rows = stuffed.reshape(-1, 1, self.length * self.up)
        return conv1d(rows, kernel, stride=self.down, padding=kernel.shape[-1] // 2).reshape(*x.shape[:-1], -1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Returns the adjoint, shape (..., C, L), of the measurement `(..., C, L')`."""
        kernel = self._filter.to(y)[None, None]
        spare = self.length * self.up - 1 - (y.shape[-1] - 1) * self.down
        rows = conv_transpose1d(
            y.reshape(-1, 1, y.shape[-1]), kernel, stride=self.down, padding=kernel.shape[-1] // 2, output_padding=spare
        )
        return rows.reshape(*y.shape[:-1], self.length, self.up)[..., 0]


class RateChange(LinearOperator):
    """A change of the sampling rate by any ratio, exact: a matrix whose rows are the filter of `Resampling` in time.

    Where the ratio is no small fraction, `Resampling` would have to put hundreds of zeros between two samples.

    Args:
        ratio: The new rate over the ECG's, at most 1.
        length: Number of samples L of the ECG that is measured.
        half_width: As for `Resampling`.
    """

    def __init__(self, ratio: float, length: int, half_width: int = 10) -> None:
        if not 0 < ratio <= 1:
            raise ValueError(f"the ratio of the rates must lie in (0, 1], not {ratio:g}")
        self.ratio, self.length = ratio, length
        # In samples of the lower rate, from each sample of the result to each of the ECG; L' is ceil(L ratio).
        steps = np.arange(math.ceil(round(length * ratio, 6)))[:, None] - ratio * np.arange(length)
        fine = np.linspace(-half_width, half_width, 2000 * half_width + 1)
        gain = 1000 / _low_pass(fine, half_width).sum()  # a constant stays what it is
        matrix = ratio * gain * _low_pass(steps, half_width)
        self._forward, self._back = _band(matrix), _band(matrix.T)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the resampled ECG, shape (..., C, L'), of the ECG `(..., C, L)`."""
        return _multiply(self._forward, x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Returns the adjoint, shape (..., C, L), of the measurement `(..., C, L')`."""
        return _multiply(self._back, y)


_Band = tuple[Tensor, Tensor]
"""Columns of a matrix that each of its rows reads, and its values there, of shape (rows, width) each."""


def _band(matrix: np.ndarray) -> _Band:
    """Keeps of a matrix, whose values lie near its diagonal, what is not zero in every row."""
    first, last = (matrix != 0).argmax(axis=1), matrix.shape[1] - (matrix[:, ::-1] != 0).argmax(axis=1)
    width = int((last - first).max())
    columns = np.minimum(first, matrix.shape[1] - width)[:, None] + np.arange(width)
    return torch.from_numpy(columns), torch.from_numpy(np.take_along_axis(matrix, columns, axis=1))


def _multiply(band: _Band, x: Tensor) -> Tensor:
    """Multiplies a matrix with vectors, `(..., columns)` to `(..., rows)`."""
    columns, values = band
    return (x[..., columns.to(x.device)] * values.to(x)).sum(dim=-1)


def _low_pass(steps: np.ndarray, half_width: int) -> np.ndarray:
    """Returns the filter of `RateChange` at some times, in samples of the lower rate: a sinc in a Kaiser window."""
    inside = np.abs(steps) <= half_width
    window = np.i0(5.0 * np.sqrt(np.where(inside, 1 - (steps / half_width) ** 2, 0.0)))
    return np.where(inside, np.sinc(steps) * window, 0.0)


class Compose(LinearOperator):
    """One operator after another: `Compose(a, b)(x)` is `a(b(x))`."""

    def __init__(self, *operators: LinearOperator) -> None:
        self.operators = operators
        self.observed = operators[0].observed if operators else None

    def __call__(self, x: Tensor) -> Tensor:
        """Applies the operators from the last to the first to `x (..., C, L)`."""
        for operator in reversed(self.operators):
            x = operator(x)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        """Applies the adjoints from the first to the last to `y (..., C', L')`."""
        for operator in self.operators:
            y = operator.adjoint(y)
        return y
