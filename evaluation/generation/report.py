"""The report on generated ECGs: distances of their features, copies, diversity, as tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.report.tables import write_csv, write_parquet
from einthoven.run.files import write_text
from evaluation.generation.average_beat import AverageBeat, average_beats
from evaluation.generation.distances import compare_features, feature_values
from evaluation.generation.ecg_features import FEATURES, INTERVALS, WAVES, measure_features
from evaluation.generation.figures import draw_distances, draw_histograms, draw_nearness, draw_neighbours, draw_twins
from evaluation.generation.neighbours import (
    BEAT,
    RECORDING,
    Nearest,
    beat_distances,
    beat_vectors,
    diversity,
    nearest,
    nearness_table,
    recording_distances,
)
from evaluation.generation.runs import EcgSet, Twins, open_twins
from evaluation.generation.tables import overview_table, write_markdown

COPIES = "copies (control)"
COPY_SHIFT_S = 0.7
COPY_NOISE_MV = 0.025
PER_SPLIT_RECORD = 3
"""Training ECGs whose features are measured, by default, for each record of the split."""


@dataclass(frozen=True)
class GenerationReport:
    """What an evaluation found.

    Attributes:
        table: The summary, one row per method and metric: `method`, `metric`, `value`, `lower`, `upper`, `n_records`.
        distances: Per run, what `compare_features` found.
        neighbours: Per kind of distance, what `nearness_table` found.
        diversity: Per run and kind of distance, what `diversity` found.
        nearest: Per set, kind and ECG, the nearest training ECG.
        features: Features of each ECG, by set, with `problem` where no beats were found.
        markdown: The tables for people, with the notes.
    """

    table: pd.DataFrame
    distances: pd.DataFrame
    neighbours: pd.DataFrame
    diversity: pd.DataFrame
    nearest: pd.DataFrame
    features: pd.DataFrame
    markdown: str


@dataclass(frozen=True)
class _Measured:
    """A set of ECGs with what was measured on it."""

    ecgs: EcgSet
    beats: list[AverageBeat | None]
    features: pd.DataFrame
    vectors: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        return feature_values(self.features, self.ecgs.statements)


def evaluate_generation_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    split: str = "test",
    store: Path | str | None = None,
    n_train: int | None = None,
    n_examples: int = 3,
    n_resamples: int = 1000,
    seed: int = 0,
) -> GenerationReport:
    """Evaluates run folders of `diffusion_prior.generate` beside the real ECGs of the same labels.

    Writes `table.csv`, `table.md`, `distances.csv`, `neighbours.csv`, `diversity.csv`, `nearest.parquet`,
    `features.parquet`, `distances.png`, `histograms.png`, `nearest.png`, and a folder of pictures for each run:
    examples beside their real twins and the ECGs that are nearest to a training ECG.

    Args:
        paths: Run folders, each with twins of a split.
        folder: Where to write.
        split: The split whose records are compared: test, or val while choosing settings.
        store: Store of the real ECGs; by default the one that the first run's config names.
        n_train: Training ECGs whose features are measured, for the floor; by default three times those of the split,
            or all that there are.
        n_examples: Pictures of twins and of neighbours, each, per run.
        n_resamples: Number of draws, for intervals and floor.
        seed: Seed of the draws.

    Returns:
        The report.

    Raises:
        ValueError: If a folder is not fit to be evaluated, or there are too few training ECGs.
    """
    twins = open_twins(paths, split, store)
    n_train = min(PER_SPLIT_RECORD * len(twins.real), len(twins.training)) if n_train is None else n_train
    if not len(twins.real) <= n_train <= len(twins.training):
        raise ValueError(f"evaluate.n_train is {n_train}: choose {len(twins.real)} to {len(twins.training)}")
    folder = Path(folder)
    real, problems = _measure(twins.real)
    runs, found = [], [problems]
    for generated in twins.generated:
        run, problems = _measure(generated)
        runs.append(run)
        found.append(problems)
    training_beats, _ = average_beats(twins.training.ecgs, twins.real.sampling_rate, "beats of real train")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(twins.training))[:n_train])
    features = measure_features(
        [training_beats[row] for row in chosen], twins.training.ecg_ids[chosen], "features of real train"
    )
    pool = feature_values(features, [twins.training.statements[row] for row in chosen])
    distances = {run.ecgs.name: compare_features(real.values, run.values, pool, n_resamples, seed) for run in runs}
    other_beats, _ = average_beats(twins.held_out.ecgs, twins.real.sampling_rate, f"beats of {twins.held_out.name}")
    sets = [(part.ecgs, part.vectors) for part in (real, *runs)] + [_copies(twins, seed)]
    near = _nearest(sets, twins.training, training_beats)
    other = _by_kind(_nearest(sets, twins.held_out, other_beats))
    kinds = _by_kind(near)
    tables = [nearness_table(kinds[k], other[k], real.ecgs.name, n_resamples, seed).assign(kind=k) for k in kinds]
    neighbours = pd.concat(tables, ignore_index=True)
    spread = _diversity(real, runs, n_resamples, seed)
    all_distances = pd.concat([table.assign(run=name) for name, table in distances.items()], ignore_index=True)
    all_features = pd.concat([*found, features.assign(set="real train", problem="")], ignore_index=True)
    n_problems = {str(name): int((part["problem"] != "").sum()) for name, part in all_features.groupby("set")}
    table = overview_table(real.ecgs.name, len(twins.real), all_distances, neighbours, spread, n_problems)
    notes = _notes(twins, n_train, n_resamples)
    report = GenerationReport(
        table=table,
        distances=all_distances,
        neighbours=neighbours,
        diversity=spread,
        nearest=_nearest_rows(near, real, runs, twins),
        features=all_features,
        markdown=write_markdown(table, distances, notes),
    )
    _write(report, folder)
    _draw(folder, distances, real, runs, near, twins.training, n_examples)
    return report


def _measure(ecgs: EcgSet) -> tuple[_Measured, pd.DataFrame]:
    """Measures a set; gives its features once more with the set's name and the problems."""
    beats, problems = average_beats(ecgs.ecgs, ecgs.sampling_rate, f"beats of {ecgs.name}")
    features = measure_features(beats, ecgs.ecg_ids, f"features of {ecgs.name}")
    return _Measured(ecgs, beats, features, beat_vectors(beats)), features.assign(set=ecgs.name, problem=problems)


def _copies(twins: Twins, seed: int) -> tuple[EcgSet, NDArray[np.float64]]:
    """Copies training ECGs, as many as the split has, shifted and with noise: what the search must find."""
    training, rng = twins.training, np.random.default_rng(seed)
    rows = rng.permutation(len(training))[: len(twins.real)]
    shifted = np.roll(training.ecgs[rows], round(COPY_SHIFT_S * training.sampling_rate), axis=-1)
    noisy = shifted + (COPY_NOISE_MV * rng.standard_normal(shifted.shape)).astype(np.float32)
    statements = tuple(training.statements[row] for row in rows)
    beats, _ = average_beats(noisy, training.sampling_rate, "beats of copies")
    return EcgSet(COPIES, training.ecg_ids[rows], noisy, statements, training.sampling_rate), beat_vectors(beats)


def _nearest(
    sets: Sequence[tuple[EcgSet, NDArray[np.float64]]], among: EcgSet, beats: Sequence[AverageBeat | None]
) -> dict[tuple[str, str], Nearest]:
    """Finds the nearest of some ECGs to every ECG, by set and kind of distance."""
    vectors = beat_vectors(beats)
    found = {}
    for ecgs, mine in sets:
        found[ecgs.name, RECORDING] = nearest(*recording_distances(ecgs.ecgs, among.ecgs, among.sampling_rate))
        found[ecgs.name, BEAT] = nearest(beat_distances(mine, vectors))
    return found


def _by_kind(near: Mapping[tuple[str, str], Nearest]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Distances to the nearest, by kind and set."""
    return {kind: {name: hit.distance for (name, of), hit in near.items() if of == kind} for kind in (RECORDING, BEAT)}


def _diversity(real: _Measured, runs: Sequence[_Measured], n_resamples: int, seed: int) -> pd.DataFrame:
    def within(part: _Measured, kind: str) -> NDArray[np.floating]:
        if kind == BEAT:
            return beat_distances(part.vectors, part.vectors)
        return recording_distances(part.ecgs.ecgs, part.ecgs.ecgs, part.ecgs.sampling_rate)[0]

    rows = []
    for kind in (RECORDING, BEAT):
        truth = within(real, kind)
        for run in runs:
            found = diversity(truth, within(run, kind), real.ecgs.statements, n_resamples, seed)
            rows.append({"run": run.ecgs.name, "kind": kind, **found})
    return pd.DataFrame(rows)


def _nearest_rows(
    near: Mapping[tuple[str, str], Nearest], real: _Measured, runs: Sequence[_Measured], twins: Twins
) -> pd.DataFrame:
    parts = []
    for part in (real, *runs):
        for kind in (RECORDING, BEAT):
            hit = near[part.ecgs.name, kind]
            keys = np.where(hit.index >= 0, twins.training.ecg_ids[hit.index], -1)
            columns = {"ecg_id": part.ecgs.ecg_ids, "train_ecg_id": keys, "distance": hit.distance, "lag_s": hit.lag_s}
            parts.append(pd.DataFrame({"set": part.ecgs.name, "kind": kind, **columns}))
    return pd.concat(parts, ignore_index=True)


def _notes(twins: Twins, n_train: int, n_resamples: int) -> list[str]:
    return [
        f"{len(twins.real)} ECGs of {twins.real.name} and as many twins of the same statements; {n_train} of "
        f"{len(twins.training)} training ECGs set the floor, all are searched for neighbours",
        "W1: Wasserstein-1 distance of a feature, in its unit and in standard deviations (SD) of the real ECGs' "
        f"feature; amplitudes: mean over {len(FEATURES[len(INTERVALS) :]) // len(WAVES)} leads",
        "floor: W1 between these real ECGs and as many real training ECGs, mean and 95 % range of the draws; a "
        "distance within it is one that other real ECGs might have",
        "PR and P amplitudes leave out ECGs with statements of atrial fibrillation or flutter, supraventricular "
        "tachycardia, a pacemaker or third-degree AV block",
        "neighbours: 1 - highest correlation over shifts in time (whole recordings), root-mean-square difference in mV "
        "(median beats); near: nearer than the 1st percentile of the real ECGs, which cannot have been copied",
        f"nearest is a training one: of {len(twins.training)} training ECGs and {len(twins.held_out)} of "
        f"{twins.held_out.name}, {_share(twins):.1f} % expected of ECGs that copy nothing; near may mean common",
        f"copies (control): training ECGs shifted by {COPY_SHIFT_S:g} s with noise of {1000 * COPY_NOISE_MV:g} uV",
        "diversity: mean distance between ECGs whose statements are the same",
        f"95 % bootstrap intervals over records in brackets, {n_resamples} draws",
    ]


def _share(twins: Twins) -> float:
    return 100.0 * len(twins.training) / (len(twins.training) + len(twins.held_out))


def _write(report: GenerationReport, folder: Path) -> None:
    write_csv(report.table, folder / "table.csv")
    write_csv(report.distances, folder / "distances.csv")
    write_csv(report.neighbours, folder / "neighbours.csv")
    write_csv(report.diversity, folder / "diversity.csv")
    write_parquet(report.nearest, folder / "nearest.parquet")
    write_parquet(report.features, folder / "features.parquet")
    write_text(folder / "table.md", report.markdown)


def _draw(
    folder: Path,
    distances: Mapping[str, pd.DataFrame],
    real: _Measured,
    runs: Sequence[_Measured],
    near: Mapping[tuple[str, str], Nearest],
    training: EcgSet,
    n_examples: int,
) -> None:
    draw_distances(folder / "distances.png", distances)
    draw_histograms(folder / "histograms.png", real.values, {run.ecgs.name: run.values for run in runs})
    draw_nearness(folder / "nearest.png", _by_kind(near), real.ecgs.name)
    for run in runs:
        place = folder / run.ecgs.name.replace("/", "_").replace(" ", "_").replace(",", "")
        draw_twins(place, real.ecgs, run.ecgs, n_examples)
        draw_neighbours(place, run.ecgs, near[run.ecgs.name, RECORDING], training, n_examples)
