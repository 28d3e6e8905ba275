"""Verdicts on leads: PSNR against thresholds that were calibrated for a model and a reverse process."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.leads import LEADS
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.window_signal import TOLD_GAP_S

CLEAN = "clean"
PARTLY = "partly noisy"
HEAVY = "heavily noisy"
UNUSABLE = "unusable"
GAPPED = "partly missing"
HEAVY_HUM_MV = 1.0
"""Hum as large as an R wave hides the ECG until it is filtered."""
UNKNOWN = ""
"""No thresholds are known."""
GROUPS = (LEADS[:6], LEADS[6:])
"""Limb and chest leads: noise of an electrode or of a muscle is seldom in one lead of a group alone."""


@dataclass(frozen=True)
class Thresholds:
    """Limits between verdicts, in dB.

    Attributes:
        clean: From this PSNR on a lead is clean.
        heavy: Below this PSNR a lead is heavily noisy.
    """

    clean: float
    heavy: float

    def __post_init__(self) -> None:
        if not self.heavy <= self.clean:
            raise ValueError(
                f"the threshold of heavy noise ({self.heavy:g}) must not exceed that of clean leads ({self.clean:g})"
            )


def find_thresholds(model: ScalogramDiffusion, process: ReverseProcess) -> Thresholds | None:
    """Looks up the thresholds of a model for a reverse process: None, with a warning, where none were calibrated.

    Checkpoints hold them in `facts["thresholds"]`, by the key of the process, for example
    `{"ddim-10-30": {"clean": 26.0, "heavy": 24.0}}`.
    """
    known: Mapping[str, Any] = model.facts.get("thresholds") or {}
    limits = known.get(process.key)
    if limits is not None:
        return Thresholds(float(limits["clean"]), float(limits["heavy"]))
    warnings.warn(
        f"no thresholds are known for this model and {process.key}: verdicts stay empty; calibrate with "
        "python -m noise_quant.calibrate",
        stacklevel=2,
    )
    return None


def verdicts(
    psnr: ArrayLike,
    unusable: ArrayLike,
    thresholds: Thresholds | None,
    hum_mv: ArrayLike = 0.0,
    missing_s: ArrayLike = 0.0,
) -> NDArray[np.object_]:
    """Gives a verdict on each score.

    Images end below the mains, whose hum they do not show: where there is some, a lead is not clean, and heavily noisy
    from `HEAVY_HUM_MV` on. What is clean where it was measured, but is missing for more than `TOLD_GAP_S`, is "partly
    missing".

    Args:
        psnr: In dB, any shape.
        unusable: True where a lead is not usable, same shape.
        thresholds: Limits, or None where none are known.
        hum_mv: Amplitude of the mains' hum in mV, 0 where there is none, same shape.
        missing_s: Seconds that were not scored, as samples are missing, same shape.

    Returns:
        "clean", "partly noisy", "heavily noisy", "partly missing", "unusable", or "" without thresholds, same shape,
        object.
    """
    values, broken = np.asarray(psnr, dtype=np.float64), np.asarray(unusable, dtype=bool)
    verdict = np.full(values.shape, UNKNOWN, dtype=object)
    if thresholds is not None:
        verdict[values >= thresholds.clean] = CLEAN
        verdict[(values < thresholds.clean) & (values >= thresholds.heavy)] = PARTLY
        verdict[values < thresholds.heavy] = HEAVY
        hum = np.broadcast_to(np.asarray(hum_mv, dtype=np.float64), values.shape)
        verdict[(hum > 0) & (verdict == CLEAN)] = PARTLY
        verdict[hum >= HEAVY_HUM_MV] = HEAVY
        gap = np.broadcast_to(np.asarray(missing_s, dtype=np.float64), values.shape)
        verdict[(gap > TOLD_GAP_S) & (verdict == CLEAN)] = GAPPED
    verdict[broken] = UNUSABLE
    return verdict


def group_scores(scores: NDArray[np.float64], leads: Sequence[str]) -> NDArray[np.float64]:
    """Averages the scores of leads with the median of their group: arguments and result as of `group_medians`."""
    return (scores + group_medians(scores, leads)) / 2


def group_medians(values: NDArray[np.float64], leads: Sequence[str]) -> NDArray[np.float64]:
    """Takes medians over the groups of leads, `GROUPS`.

    Args:
        values: Shape (C, S), NaN where a lead is not usable.
        leads: Names of the C leads; one that is in no group keeps its value.

    Returns:
        The median of each lead's group, shape (C, S), NaN where no lead of it is usable.
    """
    found = np.array(values, dtype=np.float64)
    for group in GROUPS:
        rows = [row for row, lead in enumerate(leads) if lead in group]
        if rows:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a segment in which no lead of the group is usable
                found[rows] = np.nanmedian(values[rows], axis=0)
    return found
