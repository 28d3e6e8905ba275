"""Features of ECGs that mean something: rate, intervals, amplitudes, from the median beat of each recording.

QRS complexes are bounded by the speed of the heart vector over all leads, P waves and T ends by neurokit2's delineation
by peak prominence (Emrich et al., EUSIPCO 2024). On the 1,756 records of folds 1-9 in the shared part of PTB-XL, QRS
widths tell bundle branch blocks from normal ECGs with an AUROC of 1.00 (neurokit2's own, on 290 of them: 0.2 to 0.8),
PR intervals first-degree AV block with 0.94; normal ECGs have 84 +- 10 ms, 160 +- 27 ms and a QTc of 408 +- 19 ms.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_ROWS, LEADS
from einthoven.ecg.measures.beats import BEAT_RATE, AverageBeat
from einthoven.ecg.measures.marks import qrs_bounds
from einthoven.extras import extra
from einthoven.run.progress import track

WAVES = ("P", "R", "T")
P_LEADS = ("I", "II", "V5")
"""Leads whose P onsets are found; the earliest counts."""

T_LEADS = ("I", "II", "V2", "V5")
"""Leads whose T ends are found; the median counts."""

SHORTEST_PR_MS = 60.0
"""An atrial wave later than that does not lead to the QRS complex."""

NO_P_WAVE = frozenset({"AFIB", "AFLT", "SVTAC", "PSVT", "PACE", "3AVB"})
"""Statements of ECGs whose P waves are absent or do not lead to the QRS complex, so that they have no PR interval."""

_N_TILES = 6
_MS = 1000.0 / BEAT_RATE


@dataclass(frozen=True)
class Feature:
    """A feature of an ECG: its column, what people read, its unit and digits; of an amplitude the wave and the lead."""

    name: str
    label: str
    unit: str
    digits: int
    wave: str = ""
    lead: str = ""

    @property
    def needs_p_wave(self) -> bool:
        """Whether it means nothing without P waves that lead to QRS complexes."""
        return self.name == "pr" or self.wave == "P"


INTERVALS = (
    Feature("heart_rate", "heart rate", "1/min", 1),
    Feature("rr_sd", "SD of RR intervals", "ms", 1),
    Feature("pr", "PR interval", "ms", 1),
    Feature("qrs", "QRS width", "ms", 1),
    Feature("qt", "QT interval", "ms", 1),
    Feature("qtc", "QTc (Fridericia)", "ms", 1),
)
AMPLITUDES = tuple(
    Feature(f"{wave.lower()}_{lead}", f"{wave} amplitude in {lead}", "mV", 3, wave, lead)
    for wave in WAVES
    for lead in LEADS
)
FEATURES = (*INTERVALS, *AMPLITUDES)


def measure_features(
    beats: Sequence[AverageBeat | None], ecg_ids: Sequence[int] | NDArray[np.int64], name: str = "features"
) -> pd.DataFrame:
    """Measures the features of ECGs by their median beats, None for an ECG without.

    Returns:
        One row per ECG: `ecg_id`, `n_beats` and the columns of `FEATURES`, NaN where a feature was not found.
    """
    rows: list[dict[str, float]] = []
    for ecg_id, beat in track(list(zip(ecg_ids, beats, strict=True)), "ECG", name, keep=False):
        found = {} if beat is None else beat_features(beat)
        rows.append({"ecg_id": int(ecg_id), "n_beats": 0 if beat is None else len(beat.rr_ms) + 1, **found})
    return pd.DataFrame(rows, columns=["ecg_id", "n_beats", *(feature.name for feature in FEATURES)])


def beat_features(average: AverageBeat) -> dict[str, float]:
    """Measures the features of a recording from its median beat; NaN where a wave was not found.

    Amplitudes are signed and count from the level just before the QRS complex: R is the highest value of the complex, P
    and T are the values farthest from that level.
    """
    rr = float(np.median(average.rr_ms))
    onset, offset = qrs_bounds(average, INDEPENDENT_ROWS)
    found = {lead: _p_onset_and_t_end(average, lead) for lead in dict.fromkeys((*P_LEADS, *T_LEADS))}
    starts = [found[lead][0] for lead in P_LEADS if (onset - found[lead][0]) * _MS >= SHORTEST_PR_MS]
    p_onset = min(starts, default=np.nan)
    t_end = _median(np.array([found[lead][1] for lead in T_LEADS]))
    qt = (t_end - onset) * _MS
    values = {
        "heart_rate": 60_000.0 / rr,
        "rr_sd": float(np.std(average.rr_ms)),
        "pr": (onset - p_onset) * _MS,
        "qrs": (offset - onset) * _MS,
        "qt": qt,
        "qtc": qt / np.cbrt(rr / 1000.0),
    }
    level = np.median(_stretch(average, onset - 0.02 * BEAT_RATE, onset), axis=-1, keepdims=True)
    stretches = {
        "P": (p_onset, onset - 0.01 * BEAT_RATE),
        "R": (float(onset), float(offset)),
        "T": (offset + 0.06 * BEAT_RATE, t_end),
    }
    for wave, (start, stop) in stretches.items():
        height = np.full(len(LEADS), np.nan)
        if np.isfinite([start, stop]).all() and stop - start >= 2:
            wanted = _stretch(average, start, stop) - level
            farthest = np.argmax(wanted if wave == "R" else np.abs(wanted), axis=-1)
            height = np.take_along_axis(wanted, farthest[:, None], axis=-1)[:, 0]
        values |= {f"{wave.lower()}_{lead}": float(value) for lead, value in zip(LEADS, height, strict=True)}
    return values


def _p_onset_and_t_end(average: AverageBeat, lead: str) -> tuple[float, float]:
    """Places of the P onset and the T end in a lead, in samples; NaN where neurokit2 finds none or fails."""
    with extra("train"):
        from neurokit2 import ecg_delineate  # an import of seconds

    beat, peak = average.beat[LEADS.index(lead)], average.peak
    peaks = peak + len(beat) * np.arange(_N_TILES)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # neurokit2 warns of every odd beat
        try:
            waves = ecg_delineate(np.tile(beat, _N_TILES), peaks, sampling_rate=int(BEAT_RATE), method="prominence")[1]
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):  # what it raises for odd beats
            return np.nan, np.nan
    onset, end = (
        _median((np.asarray(waves[name], dtype=np.float64) - peak) % len(beat)) + peak
        for name in ("ECG_P_Onsets", "ECG_T_Offsets")
    )
    return onset - len(beat), end


def _stretch(average: AverageBeat, start: float, stop: float) -> NDArray[np.float64]:
    """Samples from `start` to before `stop`, shape (12, n); those before the beat are the end of the one before."""
    return average.beat[:, np.arange(int(start), max(int(stop), int(start) + 1)) % average.beat.shape[-1]]


def _median(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan
