"""The report on generated ECGs: distances of their features, copies, diversity, as tables and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from evaluation.classification.classifier import Classifier, load_classifier
from evaluation.generation.average_beat import average_beats
from evaluation.generation.distances import compare_features, feature_values
from evaluation.generation.ecg_features import FEATURES, INTERVALS, WAVES, measure_features
from evaluation.generation.figures import draw_distances, draw_histograms, draw_nearness, draw_neighbours, draw_twins
from evaluation.generation.judges import judge, spectra
from evaluation.generation.measured import compare_measures, compare_rhythms, measure_ecgs
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
from evaluation.report import Report, folder_name

COPIES = "copies (control)"
COPY_SHIFT_S = 0.7
COPY_NOISE_MV = 0.025
PER_SPLIT_RECORD = 3
"""Training ECGs whose features are measured, by default, for each record of the split."""


@dataclass(frozen=True)
class _Measured:
    """A set of ECGs with what was measured on it: features of some of them, with `set` and `problem`, beats of all."""

    ecgs: EcgSet
    features: pd.DataFrame
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        return self.ecgs.name

    @classmethod
    def of(cls, ecgs: EcgSet, rows: NDArray[np.int64] | None = None) -> "_Measured":
        rows = np.arange(len(ecgs)) if rows is None else rows
        beats, problems = average_beats(ecgs.ecgs, ecgs.sampling_rate, f"beats of {ecgs.name}")
        features = measure_features([beats[row] for row in rows], ecgs.ecg_ids[rows], f"features of {ecgs.name}")
        values = feature_values(features, [ecgs.statements[row] for row in rows])
        features = features.assign(set=ecgs.name, problem=[problems[row] for row in rows])
        return cls(ecgs, features, beat_vectors(beats), values, rows)

    def judged(self, classifier: Classifier | None) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Measures the ECGs whose features were taken, and finds what judges look at."""
        ecgs, rate = self.ecgs.ecgs[self.rows], self.ecgs.sampling_rate
        seen = {"spectra": spectra(ecgs, rate)}
        if classifier is not None:
            seen["features"] = classifier.features(ecgs[:, [LEADS.index(lead) for lead in classifier.leads]])
        return measure_ecgs(ecgs, rate, self.ecgs.name), seen


Distances = tuple[NDArray[np.floating], NDArray[np.floating] | None]
"""Distances, and the shifts in s at which they are found."""

DISTANCES: dict[str, Callable[[_Measured, _Measured], Distances]] = {
    RECORDING: lambda one, other: recording_distances(one.ecgs.ecgs, other.ecgs.ecgs, one.ecgs.sampling_rate),
    BEAT: lambda one, other: (beat_distances(one.vectors, other.vectors), None),
}
"""Kinds of distances between ECGs."""

Near = Mapping[str, Mapping[str, Nearest]]
"""The nearest ECG to each, by kind of distance and set."""


def evaluate_generation_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    split: str = "test",
    store: Path | str | None = None,
    classifier: Path | str | None = None,
    n_train: int | None = None,
    n_examples: int = 3,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Evaluates run folders of `diffusion_prior.generate` beside the real ECGs of the same labels.

    Writes `table.csv`, `table.md`, `distances.csv`, `measures.csv`, `rhythms.csv`, `judges.csv`, `neighbours.csv`,
    `diversity.csv`, `nearest.parquet`, `features.parquet`, `distances.png`, `histograms.png`, `nearest.png`, and a
    folder of pictures for each run: examples beside their real twins and the ECGs that are nearest to a training ECG.

    Args:
        paths: Run folders, each with twins of a split.
        folder: Where to write.
        split: The split whose records are compared: test, or val while choosing settings.
        store: Store of the real ECGs; by default the one that the first run's config names.
        classifier: Run folder of `evaluation.downstream_classifier`, whose network's features FID and KID compare;
            None: both are left out.
        n_train: Training ECGs that set the floor, by default three times those of the split, or all.
        n_examples: Pictures of twins and of neighbours, each, per run.
        n_resamples: Number of draws, for intervals and floor.
        seed: Seed of the draws.
    """
    twins, judging = open_twins(paths, split, store), None if classifier is None else load_classifier(classifier)
    if judging is not None and judging.sampling_rate != twins.real.sampling_rate:
        raise ValueError(f"the classifier of {classifier} is for {judging.sampling_rate:g} Hz, the runs are not")
    n_train = min(PER_SPLIT_RECORD * len(twins.real), len(twins.training)) if n_train is None else n_train
    if not len(twins.real) <= n_train <= len(twins.training):
        raise ValueError(f"evaluate.n_train is {n_train}: choose {len(twins.real)} to {len(twins.training)}")
    none = np.arange(0)
    some = np.sort(np.random.default_rng(seed).permutation(len(twins.training))[:n_train])
    real, training = _Measured.of(twins.real), _Measured.of(twins.training, some)
    runs = [_Measured.of(generated) for generated in twins.generated]
    sets = [real, *runs, _Measured.of(_copies(twins, seed), none)]
    near, other = _nearest(sets, training), _nearest(sets, _Measured.of(twins.held_out, none))
    draws = (n_resamples, seed)
    distances = {run.name: compare_features(real.values, run.values, training.values, *draws) for run in runs}
    tables = _judged(real, runs, training, judging, draws) | {
        "distances.csv": pd.concat([table.assign(run=name) for name, table in distances.items()], ignore_index=True),
        "neighbours.csv": _neighbours(near, other, real.name, draws),
        "diversity.csv": _diversity(real, runs, draws),
        "nearest.parquet": _nearest_rows(near, [real, *runs], twins.training),
        "features.parquet": pd.concat([part.features for part in (real, *runs, training)], ignore_index=True),
    }
    table = overview_table(real.name, len(twins.real), tables)
    markdown = write_markdown(table, distances, tables, _notes(twins, n_train, n_resamples))
    _draw(Path(folder), distances, real, runs, near, twins.training, n_examples)
    return Report({"table.csv": table, **tables}, markdown).write(Path(folder))


def _judged(
    real: _Measured,
    runs: Sequence[_Measured],
    training: _Measured,
    classifier: Classifier | None,
    draws: tuple[int, int],
) -> dict[str, pd.DataFrame]:
    """Compares measures, rhythms and distributions, by the names of the tables' files."""
    (truth, seen), (floor, among) = (part.judged(classifier) for part in (real, training))
    found: dict[str, list[pd.DataFrame]] = {"measures.csv": [], "rhythms.csv": [], "judges.csv": []}
    for run in runs:
        measures, judged = run.judged(classifier)
        parts = (
            compare_measures(truth, measures, floor, *draws),
            compare_rhythms(truth, measures, real.ecgs.statements, *draws),
            judge(seen, judged, among, *draws),
        )
        for of_file, part in zip(found.values(), parts, strict=True):
            of_file.append(part.assign(run=run.name))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _copies(twins: Twins, seed: int) -> EcgSet:
    """Copies training ECGs, as many as the split has, shifted and with noise: what the search must find."""
    training, rng = twins.training, np.random.default_rng(seed)
    rows = rng.permutation(len(training))[: len(twins.real)]
    shifted = np.roll(training.ecgs[rows], round(COPY_SHIFT_S * training.sampling_rate), axis=-1)
    noisy = shifted + (COPY_NOISE_MV * rng.standard_normal(shifted.shape)).astype(np.float32)
    statements = tuple(training.statements[row] for row in rows)
    return EcgSet(COPIES, training.ecg_ids[rows], noisy, statements, training.sampling_rate)


def _nearest(sets: Sequence[_Measured], among: _Measured) -> Near:
    """Finds the nearest of some ECGs to every ECG of the sets."""
    return {kind: {part.name: nearest(*of(part, among)) for part in sets} for kind, of in DISTANCES.items()}


def _distance(near: Mapping[str, Nearest]) -> dict[str, NDArray[np.float64]]:
    return {name: hit.distance for name, hit in near.items()}


def _neighbours(near: Near, other: Near, real: str, draws: tuple[int, int]) -> pd.DataFrame:
    tables = [
        nearness_table(_distance(near[kind]), _distance(other[kind]), real, *draws).assign(kind=kind) for kind in near
    ]
    return pd.concat(tables, ignore_index=True)


def _diversity(real: _Measured, runs: Sequence[_Measured], draws: tuple[int, int]) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for kind, distances in DISTANCES.items():
        truth = distances(real, real)[0]
        for run in runs:
            found = diversity(truth, distances(run, run)[0], real.ecgs.statements, *draws)
            rows.append({"run": run.name, "kind": kind, **found})
    return pd.DataFrame(rows)


def _nearest_rows(near: Near, sets: Sequence[_Measured], training: EcgSet) -> pd.DataFrame:
    parts = []
    for part in sets:
        for kind, of_sets in near.items():
            hit = of_sets[part.name]
            keys = np.where(hit.index >= 0, training.ecg_ids[hit.index], -1)
            columns = {"ecg_id": part.ecgs.ecg_ids, "train_ecg_id": keys, "distance": hit.distance, "lag_s": hit.lag_s}
            parts.append(pd.DataFrame({"set": part.name, "kind": kind, **columns}))
    return pd.concat(parts, ignore_index=True)


def _notes(twins: Twins, n_train: int, n_resamples: int) -> list[str]:
    share = 100.0 * len(twins.training) / (len(twins.training) + len(twins.held_out))
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
        f"{twins.held_out.name}, {share:.1f} % expected of ECGs that copy nothing; near may mean common",
        f"copies (control): training ECGs shifted by {COPY_SHIFT_S:g} s with noise of {1000 * COPY_NOISE_MV:g} uV",
        "diversity: mean distance between ECGs whose statements are the same",
        "measures: by einthoven.measure; W1 in SD of the real ECGs' measure; CV: SD of RR intervals over their mean",
        "PSD-MMD: of a Gaussian kernel, between normalised spectra (SynthECG); KID and FID: of the features of "
        "evaluate.classifier; each beside the floor of as many real training ECGs",
        f"95 % bootstrap intervals over records in brackets, {n_resamples} draws",
    ]


def _draw(
    folder: Path,
    distances: Mapping[str, pd.DataFrame],
    real: _Measured,
    runs: Sequence[_Measured],
    near: Near,
    training: EcgSet,
    n_examples: int,
) -> None:
    draw_distances(folder / "distances.png", distances)
    draw_histograms(folder / "histograms.png", real.values, {run.name: run.values for run in runs})
    draw_nearness(folder / "nearest.png", {kind: _distance(of_sets) for kind, of_sets in near.items()}, real.name)
    for run in runs:
        place = folder / folder_name(run.name).replace(" ", "_").replace(",", "")
        draw_twins(place, real.ecgs, run.ecgs, n_examples)
        draw_neighbours(place, run.ecgs, near[RECORDING][run.name], training, n_examples)
