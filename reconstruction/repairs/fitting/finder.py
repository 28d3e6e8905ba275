"""Fits the finder on clean records damaged on purpose; what it is fitted on has folds, records and seeds in its file.

A first set of trees, of the plain features, is fitted on records of its own. It says what the misfit of the other
records is asked without, so that it has not seen them. The sets of the finder are then fitted on those.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from noise_quant.scoring.scorer import Scorer
from preprocessing.clean_records import CleanRecord, clean_paths, read_clean
from reconstruction.repairs.finding.features import CHECKS, PLAIN, piece_features
from reconstruction.repairs.finding.finder import FEATURES, WINDOW_S, Finder
from reconstruction.repairs.fitting.windows import Noise, Windows, look
from reconstruction.repairs.windows import WindowRepairer

TRAINING_FOLDS = tuple(range(1, 9))
LIMITS_FOLD = 9
FOLD_9 = "fold_9"
BEGINS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7)
GO_ONS = (0.1, 0.2, 0.3, 0.4)
"""Limits that are tried."""


@dataclass(frozen=True)
class Settings:
    """What the finder is fitted with; the keys of `configs/fit_finder.yaml`."""

    n_first: int
    n_records: int
    n_limits: int
    clean_every: int
    n_first_trees: int
    n_trees: int
    surely: float
    tolerance: float
    most_touched: float
    archives: Mapping[str, int]
    seed: int
    damage_seed: int


@dataclass(frozen=True)
class Records:
    """Clean records: for the first trees, for the finder, and, by where they are from, for its limits."""

    first: list[CleanRecord]
    rest: list[CleanRecord]
    limits: dict[str, list[CleanRecord]]


def training_records(root: Path, settings: Settings, others: Path | None = None) -> Records:
    """Reads random records of PTB-XL without a remark on noise, and others from the folders that the settings name.

    Args:
        root: PTB-XL as downloaded; its fold 9 is for the limits.
        settings: Settings. Of a folder in `archives` every so many-th record is for the finder; where that leaves some,
            `n_limits` of them at most are for the limits.
        others: Folder of these folders.

    Raises:
        ValueError: If there are too few.
    """
    rng = np.random.default_rng(settings.seed)
    training = clean_paths(root, TRAINING_FOLDS)
    limits = clean_paths(root, [LIMITS_FOLD])
    ecgs = _read(training, rng.permutation(list(training)))
    first, rest = list(islice(ecgs, settings.n_first)), list(islice(ecgs, settings.n_records))
    chosen = list(islice(_read(limits, rng.permutation(list(limits))), settings.n_limits))
    if len(rest) < settings.n_records or len(chosen) < settings.n_limits:
        raise ValueError(f"{root}: too few records without a remark on noise: lower n_first, n_records or n_limits")
    records = Records(first, rest, {FOLD_9: chosen})
    for name, step in settings.archives.items():
        folder = Path(name) if others is None else others / name
        paths = [header.with_suffix("") for header in sorted(folder.rglob("*.hea"))]
        if not paths:
            raise ValueError(f"{folder} holds no WFDB records: change others_path or archives")
        records.rest.extend(_whole(paths[::step]))
        if step == 2:
            records.limits[name] = list(islice(_whole(paths[1::2]), settings.n_limits))
    return records


def fit_finder(
    records: Records, noise: Noise, repairer: WindowRepairer, scorer: Scorer | None, settings: Settings
) -> tuple[Finder, dict[str, Any]]:
    """Fits a finder.

    Args:
        records: What `training_records` returns.
        noise: First halves of the recorded noise (`damage_noise`), by rate.
        repairer: What knows the prior.
        scorer: What gives noise scores; None: the finder does without.
        settings: Settings.

    Returns:
        The finder, and facts on it: its settings, and how well it finds what is bad in the records for the limits.
    """
    n_plain = len(CHECKS) + len(PLAIN)

    def plain_features(ecg: NDArray[np.float64], rate: float, key: str) -> NDArray[np.float64]:
        return piece_features(ecg, rate, LEADS)

    first = look(records.first, noise, plain_features, settings.damage_seed, 1).trees(n_plain, settings.n_first_trees)
    start = Finder(first, first, 0.5, 0.5, settings.surely)

    def features(ecg: NDArray[np.float64], rate: float, key: str) -> NDArray[np.float64]:
        return start.features(ecg, rate, LEADS, repairer, scorer, key)

    how = (noise, features, settings.damage_seed, settings.clean_every)
    rest = look(records.rest, *how)
    limits = {name: look(part, *how) for name, part in records.limits.items()}
    return fit_on(rest, limits, settings)


def describe_fit(settings: Settings) -> dict[str, str]:
    """Says how a finder with these settings is made, of what, and when, for its facts."""
    others = ", ".join(f"{name} (every {step}.)" for name, step in settings.archives.items())
    data = f"PTB-XL folds 1-8 ({settings.n_records} records), {others}; limits: fold 9 and what is left of archives"
    return {
        "command": "einthoven fit_finder",
        "data": f"{data}; damage: first halves of NSTDB",
        "date": datetime.now(UTC).date().isoformat(),
    }


def fit_on(rest: Windows, limits: Mapping[str, Windows], settings: Settings) -> tuple[Finder, dict[str, Any]]:
    """Fits a finder on windows, and chooses its limits on others."""
    finder = Finder(
        rest.trees(len(CHECKS) + len(PLAIN), settings.n_trees),
        rest.trees(len(FEATURES), settings.n_trees),
        0.5,
        0.5,
        settings.surely,
        rest.context(settings.n_trees),
    )
    return choose_limits(finder, limits, settings)


def choose_limits(finder: Finder, limits: Mapping[str, Windows], settings: Settings) -> tuple[Finder, dict[str, Any]]:
    """Chooses the limits with the highest recall among those whose F1 is within the tolerance of the best.

    What is missed stays in the recording without a word, so of limits that are as good those that find more are better.
    F1 and recall are means over where the records are from. Limits by which a larger share of some undamaged records is
    touched than `most_touched` are left out, unless all are.
    """
    judged = {name: [finder.judge(features, LEADS) for features in part.features] for name, part in limits.items()}
    tried = []
    for begin in BEGINS:
        for go_on in (limit for limit in GO_ONS if limit <= begin):
            one = replace(finder, begin=begin, go_on=go_on)
            results = {name: _count(one, judged[name], part) for name, part in limits.items()}
            f1, recall = (float(np.mean([result[key] for result in results.values()])) for key in ("f1", "recall"))
            tried.append((one, f1, recall, results))
    kept = [one for one in tried if max(part["touched"] for part in one[3].values()) <= settings.most_touched]
    tried = kept or tried
    best = max(f1 for _, f1, _, _ in tried)
    chosen, _, _, results = max((one for one in tried if one[1] >= best - settings.tolerance), key=lambda one: one[2])
    return chosen, {**asdict(settings), **describe_fit(settings), **results}


def _count(
    finder: Finder, judged: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]], windows: Windows
) -> dict[str, float]:
    """Counts what a finder finds in windows that it has judged."""
    counted, is_bad = windows.counted[windows.damaged], windows.share[windows.damaged] > 0
    bad = np.stack([finder.decide_together(probability, holds, LEADS) for probability, holds in judged])
    said, truth = bad[windows.damaged][counted], is_bad[counted]
    hits = float((said & truth).sum())
    probability = np.stack([values for values, _ in judged])
    return {
        "n_records": len(np.unique(windows.record)),
        "auroc": _auroc(probability[windows.counted], (windows.share > 0)[windows.counted]),
        "f1": float(2 * hits / max(said.sum() + truth.sum(), 1)),
        "recall": hits / max(int(truth.sum()), 1),
        "touched": float(bad[~windows.damaged].mean()),
    }


def finder_arrays(finder: Finder, facts: Mapping[str, object]) -> dict[str, NDArray[np.generic]]:
    """Returns a finder and facts on it as arrays by name, for a file that `Finder.load` reads."""
    return {**finder.arrays(), "facts": np.array(json.dumps(facts, sort_keys=True))}


def _read(paths: Mapping[int, Path], order: NDArray[np.int64]) -> Iterator[CleanRecord]:
    """Reads ECGs of ten seconds, named by `ecg_id`, to the precision that stores keep."""
    for ecg_id in order:
        for record in _whole([paths[int(ecg_id)]]):
            yield CleanRecord(str(ecg_id), record.signal.astype(np.float32).astype(np.float64), record.sampling_rate)


def _whole(paths: Iterable[Path]) -> Iterator[CleanRecord]:
    """Reads those that last ten seconds."""
    for path in paths:
        record = read_clean(path)
        if record is not None and record.signal.shape[-1] == round(WINDOW_S * record.sampling_rate):
            yield record


def _auroc(probability: NDArray[np.float64], is_bad: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_bad, probability))
