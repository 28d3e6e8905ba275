"""Patterns of missing samples, to hide parts of whole records.

Reference:
    The patterns `rm`, `mnr` and `bm` are those of Alcaraz and Strodthoff, Diffusion-based Time Series Imputation and
    Forecasting with Structured State Space Models, 2022, arXiv 2208.09399.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_matrix
from einthoven.run.hashing import hash_file
from einthoven.run.registry import check_choice
from reconstruction.measurement.mask_file import MaskFile
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.operators import Resampling

PATTERNS: tuple[str, ...] = ("lead", "random_lead", "rm", "mnr", "bm", "mask", "low_rate", "clip")
Extras = dict[str, NDArray[np.generic]]
"""Arrays that are kept beside the results, by name, each with one row for each record."""
_MASK_STREAM = 0x6D61736B
"""Keeps the masks' random numbers apart from all others of the same seed."""
_START_STREAM = 0x63757473
_MAX_FACTOR = 10
_HIDING = ("rm", "mnr", "bm")


@dataclass(frozen=True)
class Missingness:
    """What is hidden of a record.

    Leads count as in `LEADS`. The random patterns and the recorders hide samples of the eight independent leads; a
    derived lead is hidden where a lead that it is made of is.

    Attributes:
        kind: `lead`: all but the first `amount` of the twelve leads; `random_lead`: all but `amount` random ones of the
            eight independent leads; `rm`: `amount` random samples of each lead; `mnr`: one block of `amount` samples of
            each lead; `bm`: the same block of `amount` samples of all leads; `mask`: what the file at `mask_path` says;
            `low_rate`: a recorder of an `amount`-th of the sampling rate; `clip`: a recorder that shows each lead up to
            `amount` per cent of its largest deviation from zero. Blocks start at multiples of their length.
        amount: As `kind` says: *observed* leads, *hidden* samples (a number, or a share such as "50%" of the record), a
            factor, or per cent.
        mask_path: File of the mask: see `MaskFile`.

    Raises:
        ValueError: If the pattern is unknown or the amount does not fit it.
    """

    kind: str = "lead"
    amount: int | str = 1
    mask_path: str | Path | None = None

    def __post_init__(self) -> None:
        check_choice("missingness_type", self.kind, PATTERNS)
        if (self.mask_path is not None) != (self.kind == "mask"):
            raise ValueError("mask_path and missingness_type=mask belong together: give both or neither")
        low, high, what = _SPANS[self.kind]
        number = _number(self.amount)
        if self._is_share and self.kind in _HIDING:
            fits = 0 < number < 100
        else:
            fits = low <= number <= high and (self.kind == "clip" or (number.is_integer() and not self._is_share))
        if not fits:
            raise ValueError(f"missingness is {self.amount}: with missingness_type={self.kind} give {what}")
        if self.kind == "mask":
            _ = self._mask  # a file that cannot be read is reported before any work starts

    def depends_on(self) -> dict[str, str]:
        """Says what results depend on beside the attributes: the mask's content."""
        return {"mask": hash_file(Path(self.mask_path))} if self.mask_path is not None else {}

    @property
    def n_leads(self) -> int:
        """Number of the first leads that stay; raises ValueError if the pattern is not one of whole leads."""
        if self.kind != "lead":
            raise ValueError(
                f"missingness_type={self.kind} hides parts of a store's records; one recording is restored where it "
                "has gaps (NaN): leave missingness_type=lead, and name the leads to start from in data.leads"
            )
        return round(_number(self.amount))

    def observed(self, keys: Sequence[int | str], length: int, seed: int) -> NDArray[np.bool_]:
        """Returns which samples of the twelve leads stay, (B, 12, L), for all patterns but `low_rate` and `clip`.

        A record's pattern depends on its own key only.

        Raises:
            ValueError: If the pattern would hide everything, or the mask does not fit.
        """
        if self.kind == "mask":
            return self._mask.observed(keys, length)
        if self.kind == "lead":
            observed = np.zeros((len(keys), len(LEADS), length), dtype=bool)
            observed[:, : self.n_leads] = True
            return observed
        if self.kind != "random_lead" and self.n_hidden(length) >= length:
            raise ValueError(f"missingness is {self.amount}, but a record has {length} samples: hide fewer of them")
        rngs = [np.random.default_rng(_entropy(_MASK_STREAM, seed, key)) for key in keys]
        return _with_derived(np.stack([self._hide(rng, length) for rng in rngs]))

    def n_hidden(self, length: int) -> int:
        """Returns how many of `length` samples of a lead `rm`, `mnr` and `bm` hide."""
        number = _number(self.amount)
        return max(1, round(number * length / 100)) if self._is_share else round(number)

    def measure(
        self, keys: Sequence[int | str], truth: NDArray[np.float32], prior_leads: Sequence[str], seed: int
    ) -> Measurement:
        """Measures records, ECGs `truth (B, 12, L)` in mV, as the pattern says; raises as `observed` does."""
        inner = truth[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]]
        if self.kind == "low_rate":
            resampling = Resampling(1, round(_number(self.amount)), truth.shape[-1])
            y = resampling(torch.from_numpy(inner).float())
            return Measurement(
                y, torch.ones_like(y, dtype=torch.bool), INDEPENDENT_LEADS, tuple(prior_leads), resampling=resampling
            )
        if self.kind == "clip":
            rail = _number(self.amount) / 100 * np.abs(inner).max(axis=-1, keepdims=True)
            return _measure(inner, np.abs(inner) < rail, INDEPENDENT_LEADS, prior_leads, rail)
        observed = self.observed(keys, truth.shape[-1], seed)
        used = np.asarray(observed.any(axis=(0, 2)))
        leads = tuple(lead for lead, is_used in zip(LEADS, used, strict=True) if is_used)
        return _measure(truth[:, used], observed[:, used], leads, prior_leads)

    def check(self, keys: Sequence[int | str], length: int) -> None:
        """Refuses, before any work, what would not fit records of `length` samples: raises as `observed` does."""
        if self.kind not in ("low_rate", "clip"):
            self.observed(keys if self.kind == "mask" else keys[:1], length, 0)

    @property
    def _is_share(self) -> bool:
        return str(self.amount).strip().endswith("%")

    @cached_property
    def _mask(self) -> MaskFile:
        assert self.mask_path is not None
        return MaskFile.read(self.mask_path)

    def _hide(self, rng: np.random.Generator, length: int) -> NDArray[np.bool_]:
        """Draws the observed samples of the independent leads, shape (8, L)."""
        n_leads = len(INDEPENDENT_LEADS)
        if self.kind == "random_lead":
            chosen = rng.permutation(n_leads) < round(_number(self.amount))
            return np.broadcast_to(chosen[:, None], (n_leads, length))
        observed, n_hidden = np.ones((n_leads, length), dtype=bool), self.n_hidden(length)
        if self.kind == "rm":
            order = rng.permuted(np.tile(np.arange(length), (n_leads, 1)), axis=1)
            np.put_along_axis(observed, order[:, :n_hidden], False, axis=1)
            return observed
        blocks = rng.integers(0, length // n_hidden, size=n_leads)
        blocks = blocks if self.kind == "mnr" else np.full(n_leads, blocks[0])
        start = blocks[:, None] * n_hidden
        time = np.arange(length)
        return (time < start) | (time >= start + n_hidden)


class Task(Protocol):
    """Makes the measurement of B records from their whole ECGs."""

    def __call__(self, keys: Sequence[int], truth: NDArray[np.float32]) -> tuple[Measurement, Extras]:
        """Makes the measurement of records, by their keys, from `truth`, their twelve leads in mV, (B, 12, L).

        What is made of a record depends on its own key only. Returns also arrays to keep beside the results.
        """


@dataclass(frozen=True)
class HideSamples:
    """Hides samples as `missingness` says; what stays is the measurement."""

    missingness: Missingness
    prior_leads: tuple[str, ...] = INDEPENDENT_LEADS
    seed: int = 0

    def __call__(self, keys: Sequence[int], truth: NDArray[np.float32]) -> tuple[Measurement, Extras]:
        """Makes the measurement: see `Task`."""
        return self.missingness.measure(keys, truth, self.prior_leads, self.seed), {}


def stretch_length(segment_length: int | None, n_samples: int) -> int:
    """Returns how many of `n_samples` samples are taken, `segment_length` or all; raises ValueError for too many."""
    length = n_samples if segment_length is None else segment_length
    if not 0 < length <= n_samples:
        raise ValueError(f"segment_length is {length}, but a record has {n_samples} samples: choose fewer")
    return length


def cut_segments(
    ecg: NDArray[np.float32], keys: Sequence[int | str], segment_length: int | None, seed: int
) -> NDArray[np.float32]:
    """Cuts a stretch out of each ECG (B, C, L), shape (B, C, segment_length), its start drawn from the record's key.

    All is taken where `segment_length` is None; raises ValueError if the records are shorter.
    """
    length = stretch_length(segment_length, ecg.shape[-1])
    n_starts = ecg.shape[-1] - length + 1
    starts = [np.random.default_rng(_entropy(_START_STREAM, seed, key)).integers(n_starts) for key in keys]
    return np.stack([x[:, start : start + length] for x, start in zip(ecg, starts, strict=True)])


_SPANS: dict[str, tuple[float, float, str]] = {
    "lead": (1, len(LEADS) - 1, f"1 to {len(LEADS) - 1} observed leads"),
    "random_lead": (1, len(INDEPENDENT_LEADS) - 1, f"1 to {len(INDEPENDENT_LEADS) - 1} observed leads"),
    **dict.fromkeys(_HIDING, (1, math.inf, "1 or more hidden samples, or a share of them such as 50%")),
    "mask": (-math.inf, math.inf, "any number: it is not used"),
    "low_rate": (2, _MAX_FACTOR, f"the factor by which the rate is lower, 2 to {_MAX_FACTOR}"),
    "clip": (1, 99, "the per cent of its largest deviation up to which a lead is shown, 1 to 99"),
}


def _number(amount: int | str) -> float:
    """Reads an amount, the sign of a percentage left out; NaN for what is no number."""
    try:
        return float(str(amount).strip().removesuffix("%"))
    except ValueError:
        return math.nan


def _measure(
    y: NDArray[np.float32],
    observed: NDArray[np.bool_],
    leads: tuple[str, ...],
    prior_leads: Sequence[str],
    rail: NDArray[np.float32] | None = None,
) -> Measurement:
    """Measures some leads (B, m, L) where observed; beyond a rail (B, m, 1), where there is one, they are bounded."""
    lower, upper = None, None
    if rail is not None:
        lower = torch.from_numpy(np.where(observed | (y < 0), -np.inf, rail)).float()
        upper = torch.from_numpy(np.where(observed | (y > 0), np.inf, -rail)).float()
    values = torch.from_numpy(np.where(observed, y, 0.0)).float()
    return Measurement(values, torch.from_numpy(observed), leads, tuple(prior_leads), lower=lower, upper=upper)


def _with_derived(inner: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Extends masks of the independent leads (B, 8, L) to the twelve, a derived lead hidden with its sources."""
    sources = np.abs(lead_matrix(LEADS, INDEPENDENT_LEADS)) > 0
    return ~np.einsum("ij,bjl->bil", sources, ~inner)


def _entropy(stream: int, seed: int, key: int | str) -> list[int]:
    return [stream, seed, *str(key).encode()]
