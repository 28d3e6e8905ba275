"""What happens to one clean record: damaged, repaired, and scored against what it was."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from evaluation.repairing.baselines import RATE_HZ, RidgeFromOthers, filtered
from evaluation.repairing.waves import compare_waves, find_waves
from preprocessing.clean_records import CleanRecord
from preprocessing.damage import Damaged, damage_ecg, hurt_pieces
from reconstruction.repairs.finding.features import lost_samples
from reconstruction.repairs.finding.finder import FEATURES, Findings
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.repairing import Tools, repair
from reconstruction.repairs.result import DENOISED, KINDS, LEFT_MISSING, RESTORED, Repair

REPAIRED, DAMAGED, CLEAN, RIDGE = "repaired", "damaged", "clean", "ridge (told which leads)"
WAVE_METHODS = (DAMAGED, REPAIRED, "band-pass")
ECGS = (CLEAN, DAMAGED, REPAIRED, "band-pass")
"""What a classifier, and cardiologists' marks, are compared on."""
N_WAVE_LEADS = 1
"""Waves are looked for in the first damaged lead of a record, which takes a third of a second each time."""


@dataclass(frozen=True)
class Scored:
    """What was found of a record.

    Attributes:
        pieces: A row a lead-second: `hurt`, the share that is damaged; `bad`, as the finder decided; and how bad by
            `score`, `checks`, `plain`, `misfit` and `all`; with `damaged` False for the record as it was.
        errors: A row a damaged stretch and method: `kind`, `n` samples, `squares` (summed squared errors in mV^2), and
            of the repair, by kind of change, how many samples were changed so (`n_...`) and how many have
            their truth within the band (`in_...`); `missing`, those that it left out.
        waves: A row a damaged stretch, wave and method: numbers of `true`, `found` and `matched` waves, and `error_ms`,
            summed over the matched ones.
        ecgs: The record by `ECGS`, in mV at `RATE_HZ`, as all are compared, shape (4, 12, L); 0 where left missing.
        samples: Draws of the repaired record, likewise, shape (n_samples, 12, L); None where nothing was repaired.
    """

    pieces: pd.DataFrame
    errors: pd.DataFrame
    waves: pd.DataFrame
    ecgs: NDArray[np.float32]
    samples: NDArray[np.float32] | None = None


def score_record(
    record: CleanRecord, noise: Mapping[str, NDArray[np.float64]], ridge: RidgeFromOthers, tools: Tools, seed: int
) -> Scored:
    """Damages a record, repairs it damaged and as it was, and scores.

    All ECGs are compared as the usual filter of the project leaves them: 0.6 to 50 Hz, at 100 Hz.
    """
    damaged = damage_ecg(record.signal, record.sampling_rate, noise, record.name, seed)
    rate = record.sampling_rate
    result = repair(Recording(damaged.signal, rate, LEADS, record.name), tools=tools)
    untouched = tools.finder(record.signal, rate, LEADS, tools.repairer, tools.scorer, record.name)
    pieces = [_pieces(result.findings, damaged, record, tools), _pieces(untouched, None, record, tools)]
    ecgs = ecgs_of(record, damaged, result)
    errors, waves = _compare(record, damaged, result, ridge, ecgs)
    one, other, last = (table.assign(record=record.name) for table in (pd.concat(pieces), errors, waves))
    stacked = np.nan_to_num(np.stack([ecgs[name] for name in ECGS])).astype(np.float32)
    samples = None
    if result.samples is not None:
        samples = np.nan_to_num(clean_signal(result.samples, rate, RATE_HZ)).astype(np.float32)
    return Scored(one, other, last, stacked, samples)


def ecgs_of(record: CleanRecord, damaged: Damaged, result: Repair) -> dict[str, NDArray[np.float64]]:
    """Returns the record as it was, damaged, repaired and filtered, each (12, L), as all are compared."""
    rate = record.sampling_rate
    return {
        CLEAN: clean_signal(record.signal, rate, RATE_HZ),
        DAMAGED: clean_signal(damaged.signal, rate, RATE_HZ),
        REPAIRED: clean_signal(result.recording.signal, rate, RATE_HZ),
        **filtered(damaged.signal, rate),
    }


def detectors(findings: Findings, tools: Tools) -> dict[str, NDArray[np.float64]]:
    """Returns how bad each lead-second is by each part of the finder, and by all, each (12, pieces)."""
    features = findings.features.astype(np.float64)
    held, saturated, score, misfit = (
        features[..., FEATURES.index(name)] for name in ("held_s", "saturated_s", "score", "misfit_relative")
    )
    return {
        "score": np.where(np.isfinite(score), -score, 100.0),
        "checks": np.maximum(held, saturated),
        "plain": tools.finder.plain.log_odds(features),
        "misfit": np.where(np.isfinite(misfit), misfit, 100.0),
        "all": findings.probability,
    }


def _pieces(findings: Findings, damaged: Damaged | None, record: CleanRecord, tools: Tools) -> pd.DataFrame:
    """Lays out what was found, a row a lead-second; those that hold lost samples are touched too."""
    shape, rate = findings.probability.shape, record.sampling_rate
    signal = record.signal if damaged is None else damaged.signal
    hurt = np.zeros(shape) if damaged is None else hurt_pieces(damaged.hurt, rate)[:, : shape[1]]
    lost = lost_samples(signal, rate)
    spans = zip(findings.edges[:-1], findings.edges[1:], strict=True)
    touched = findings.bad | np.stack([lost[:, first:last].any(axis=-1) for first, last in spans], axis=-1)
    columns = {"hurt": hurt, "bad": findings.bad, "touched": touched, **detectors(findings, tools)}
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    return table.assign(lead=np.repeat(LEADS, shape[1]), damaged=damaged is not None)


def _compare(
    record: CleanRecord,
    damaged: Damaged,
    result: Repair,
    ridge: RidgeFromOthers,
    cleaned: Mapping[str, NDArray[np.float64]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compares all methods with the truth in the damaged stretches."""
    rate, truth = record.sampling_rate, cleaned[CLEAN]
    hurt_leads = [lead for lead, row in zip(LEADS, damaged.hurt, strict=True) if row.any()]
    ecgs = {name: ecg for name, ecg in cleaned.items() if name != CLEAN}
    ecgs[RIDGE] = ridge(ecgs[DAMAGED], hurt_leads)
    at = (np.arange(truth.shape[-1]) * rate / RATE_HZ).round().astype(int).clip(max=record.signal.shape[-1] - 1)
    left = result.done[:, at] == LEFT_MISSING
    below, above = (result.recording.signal - result.lower)[:, at], (result.upper - result.recording.signal)[:, at]
    errors: list[dict[str, object]] = []
    waves: list[dict[str, object]] = []
    for row, lead in enumerate(LEADS):
        spans = runs(damaged.hurt[row, at])
        kinds = {s.start: s.kind for s in damaged.stretches if s.lead == lead}
        for first, last in spans:
            span = slice(first, last)
            kind = next((kind for start, kind in kinds.items() if start <= at[first] + 1), "")
            kind = _kind_at(damaged, lead, at[first], kind)
            there = ~left[row, span]
            difference = {name: (ecg[row, span] - truth[row, span])[there] for name, ecg in ecgs.items()}
            left_out = int((~there).sum())
            for name, values in difference.items():
                cells = {"kind": kind, "method": name, "n": len(values), "squares": float(np.square(values).sum())}
                if name == REPAIRED:
                    cells["missing"] = left_out
                    inside = (-values >= -below[row, span][there]) & (-values <= above[row, span][there])
                    for how in (DENOISED, RESTORED):
                        done = result.done[row, at[span]][there] == how
                        cells |= {f"n_{KINDS[how]}": int(done.sum()), f"in_{KINDS[how]}": int(inside[done].sum())}
                errors.append(cells)
        if spans and sum(wave["wave"] == "QRS" for wave in waves) < N_WAVE_LEADS * len(WAVE_METHODS):
            stretches = [(first / RATE_HZ, last / RATE_HZ) for first, last in spans]
            shown = {name: ecgs[name] for name in WAVE_METHODS}
            waves += compare_all(shown, truth[row], row, stretches, left[row])
    return pd.DataFrame(errors), pd.DataFrame(waves)


_WAVE_COLUMNS = ("method", "wave", "true", "found", "matched", "error_ms")


def compare_all(
    ecgs: Mapping[str, NDArray[np.float64]],
    truth: NDArray[np.float64],
    row: int,
    stretches: list[tuple[float, float]],
    left: NDArray[np.bool_],
) -> list[dict[str, object]]:
    """Compares the waves of a lead by each method with those of the truth, inside stretches in s."""
    true_waves, rows = find_waves(truth, RATE_HZ), []
    for name, ecg in ecgs.items():
        found = find_waves(np.where(left, 0.0, ecg[row]) if name == REPAIRED else ecg[row], RATE_HZ)
        for wave, times in true_waves.items():
            counts = compare_waves(found[wave], times, stretches)
            rows.append(
                dict(
                    zip(("method", "wave", "true", "found", "matched", "error_ms"), (name, wave, *counts), strict=True)
                )
            )
    return rows


def _kind_at(damaged: Damaged, lead: str, sample: int, otherwise: str) -> str:
    """Returns the kind of the stretch of a lead that holds a sample."""
    found = [s.kind for s in damaged.stretches if s.lead == lead and s.start - 2 <= sample < s.stop + 2]
    return found[0] if found else otherwise
