"""How fast and how regular hearts beat, by their statements: drawn for generated ECGs where a user does not tell it.

A network that is told nothing of the rhythm draws beats that come too irregularly. Training records with the same
statements on the rhythm say what rates and what irregularity there are; a pair of both is drawn from them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.model.covariates import measure_rhythm
from diffusion_prior.model.denoiser import Denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.ecg.statements import RHYTHM
from preprocessing.store.store import Store

FACT = "rhythms"
"""Name of the table among the facts of weights."""
OF_RHYTHM = frozenset({*RHYTHM, "NORM", "PVC", "PAC", "PRC(S)", "2AVB", "3AVB"})
"""Statements that say something of how regular beats come."""
FEW = 8
"""Fewer records than that with exactly the same statements on the rhythm: similar ones are taken too."""
ALIKE = 0.4
"""Least similarity of such records, 0 to 1."""
MOST = 400
"""Records of a kind that are kept, those that come first."""

Rhythms = Mapping[str, Sequence[Sequence[int]]]
"""Mean and standard deviation of the RR intervals of records in ms, by their statements on the rhythm, joined by +."""


def rhythm_kind(statements: Iterable[str]) -> str:
    """Returns the statements that say something of the rhythm, joined by +."""
    return "+".join(sorted(OF_RHYTHM & set(statements)))


def fit_rhythms(store: Store) -> dict[str, list[list[int]]]:
    """Measures the rhythms of the training records of a store, as the network's covariates are measured.

    Raises:
        ValueError: If none of them has a rhythm.
    """
    rows = store.rows("train")
    found: defaultdict[str, list[list[int]]] = defaultdict(list)
    for row, statements in zip(rows, store.table["statements"].iloc[rows], strict=True):
        rhythm = measure_rhythm(store.read([row], INDEPENDENT_LEADS)[0], store.sampling_rate)
        records = found[rhythm_kind(statements)]
        if not math.isnan(rhythm[0]) and len(records) < MOST:
            records.append([round(1000 * value) for value in rhythm])
    table = {kind: records for kind, records in sorted(found.items()) if records}
    if not table:
        raise ValueError(f"{store.path} has no training record of six seconds or more with beats: give another store")
    return table


def describe_rhythms(table: Rhythms) -> str:
    """Says in a line for each kind how many records there are, their median rate and irregularity."""
    lines = [f"{'statements':<22} records  1/min  SD of RR, ms"]
    for kind, records in sorted(table.items(), key=lambda item: -len(item[1])):
        mean, sd = np.median(records, axis=0)
        lines.append(f"{kind or 'none':<22} {len(records):>7} {60_000 / mean:>6.0f} {sd:>13.0f}")
    return "\n".join(lines)


def load_told(weights: str | Path | None) -> Denoiser:
    """Loads a prior that can be told a rhythm; ValueError if the weights take none."""
    denoiser = load_denoiser(weights)
    if not {"rr_mean", "rr_sd"} <= set(denoiser.covariates):
        raise ValueError("these weights cannot be told a rhythm: train with the covariates rr_mean and rr_sd")
    return denoiser


def similar_rhythms(table: Rhythms, statements: Sequence[str]) -> NDArray[np.float64]:
    """Returns the rhythms of the records whose statements are the same or, where those are few, similar.

    Similar is a weighted Jaccard index of at least `ALIKE`; a statement weighs -log of its share of all records, so
    that a rare one, such as TRIGU, counts more than SR.

    Returns:
        Mean and standard deviation of the RR intervals in ms, shape (n, 2); all of the table without any statement,
        none where no record is similar.
    """
    if not statements:
        return np.array([pair for records in table.values() for pair in records], dtype=np.float64)
    kinds = {kind: frozenset(filter(None, kind.split("+"))) for kind in table}
    n_records = sum(map(len, table.values()))
    asked = OF_RHYTHM & set(statements)

    def weight(codes: frozenset[str]) -> float:
        counts = [sum(len(table[kind]) for kind, own in kinds.items() if code in own) for code in codes]
        return sum(math.log((n_records + 1) / (count + 0.5)) for count in counts)

    def likeness(own: frozenset[str]) -> float:
        return 1.0 if own == asked else weight(own & asked) / weight(own | asked)

    likenesses = {kind: likeness(own) for kind, own in kinds.items()}
    chosen: list[Sequence[int]] = []
    for value in sorted(set(likenesses.values()), reverse=True):
        if value < ALIKE or len(chosen) >= FEW:
            break
        chosen += [pair for kind in table if likenesses[kind] == value for pair in table[kind]]
    return np.array(chosen, dtype=np.float64).reshape(-1, 2)


def draw_rhythm(
    table: Rhythms, statements: Sequence[str], given: Sequence[float], generator: torch.Generator
) -> tuple[float, float]:
    """Draws mean and standard deviation of the RR intervals.

    Args:
        table: The rhythms of training records.
        statements: The statements of the ECG.
        given: What is told of both in s, NaN where nothing: it stays, and the other is drawn from the records that are
            nearest to it.
        generator: The ECG's own.

    Returns:
        Both in s; NaN where no record is similar.
    """
    pool = similar_rhythms(table, statements) / 1000.0
    for place in (0, 1):
        if not math.isnan(given[place]) and len(pool):
            pool = pool[np.argsort(np.abs(pool[:, place] - given[place]), kind="stable")[:FEW]]
    if not len(pool):
        return given[0], given[1]
    drawn = pool[int(torch.randint(len(pool), (), generator=generator))]
    mean, sd = (float(one) if math.isnan(told) else told for told, one in zip(given, drawn, strict=True))
    return mean, sd
