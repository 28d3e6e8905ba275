"""Fits the finder on clean records damaged on purpose; what it is fitted on has folds, records and seeds in its file.

A first set of trees, of the plain features, is fitted on records of its own. It says what the misfit of the other
records is asked without, so that it has not seen them. Both sets of the finder are then fitted on those.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from noise_quant.scoring.scorer import Scorer
from preprocessing.clean_records import clean_paths, read_clean
from reconstruction.repairs.features import CHECKS, PLAIN, piece_features
from reconstruction.repairs.finder import FEATURES, WINDOW_S, Finder
from reconstruction.repairs.fitting.windows import RATE_HZ, Ecg, Windows, look
from reconstruction.repairs.windows import WindowRepairer

TRAINING_FOLDS = tuple(range(1, 9))
LIMITS_FOLD = 9
BEGINS = (0.3, 0.4, 0.5, 0.6, 0.7)
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
    seed: int
    damage_seed: int


def training_ecgs(root: Path, settings: Settings) -> tuple[list[Ecg], list[Ecg], list[Ecg]]:
    """Reads random records of PTB-XL without a remark on noise: for the first trees, for the finder, for its limits.

    ValueError, if there are too few.
    """
    rng = np.random.default_rng(settings.seed)
    training = clean_paths(root, TRAINING_FOLDS)
    others = clean_paths(root, [LIMITS_FOLD])
    ecgs = _read(training, rng.permutation(list(training)))
    first, rest = list(islice(ecgs, settings.n_first)), list(islice(ecgs, settings.n_records))
    limits = list(islice(_read(others, rng.permutation(list(others))), settings.n_limits))
    if len(rest) < settings.n_records or len(limits) < settings.n_limits:
        raise ValueError(f"{root}: too few records without a remark on noise: lower n_first, n_records or n_limits")
    return first, rest, limits


def fit_finder(
    ecgs: tuple[Sequence[Ecg], Sequence[Ecg], Sequence[Ecg]],
    noise: Mapping[str, NDArray[np.float64]],
    repairer: WindowRepairer,
    scorer: Scorer | None,
    settings: Settings,
) -> tuple[Finder, dict[str, object]]:
    """Fits a finder.

    Args:
        ecgs: What `training_ecgs` returns.
        noise: First halves of the recorded noise at `RATE_HZ` (`damage_noise`).
        repairer: What knows the prior.
        scorer: What gives noise scores; None: the finder does without.
        settings: Settings.

    Returns:
        The finder, and facts on it: its settings, and how well it finds what is bad in the records of fold 9.
    """
    n_plain = len(CHECKS) + len(PLAIN)

    def plain_features(ecg: NDArray[np.float64], key: str) -> NDArray[np.float64]:
        return piece_features(ecg, RATE_HZ, LEADS)

    first = look(ecgs[0], noise, plain_features, settings.damage_seed, 1).trees(n_plain, settings.n_first_trees)
    start = Finder(first, first, 0.5, 0.5, settings.surely)

    def features(ecg: NDArray[np.float64], key: str) -> NDArray[np.float64]:
        return start.features(ecg, RATE_HZ, LEADS, repairer, scorer, key)

    rest, limits = (
        look(part, noise, features, settings.damage_seed, settings.clean_every) for part in (ecgs[1], ecgs[2])
    )
    finder = replace(
        start, plain=rest.trees(n_plain, settings.n_trees), joined=rest.trees(len(FEATURES), settings.n_trees)
    )
    return choose_limits(finder, limits, settings)


def choose_limits(finder: Finder, windows: Windows, settings: Settings) -> tuple[Finder, dict[str, object]]:
    """Chooses the limits with the highest recall among those whose F1 is within the tolerance of the best.

    What is missed stays in the recording without a word, so of limits that are as good those that find more are better.
    """
    judged = [finder.judge(features, LEADS) for features in windows.features]
    counted, is_bad = windows.counted[windows.damaged], windows.share[windows.damaged] > 0
    tried = []
    for begin in BEGINS:
        for go_on in (limit for limit in GO_ONS if limit <= begin):
            one = replace(finder, begin=begin, go_on=go_on)
            bad = np.stack([one.decide_together(probability, holds, LEADS) for probability, holds in judged])
            said, truth = bad[windows.damaged][counted], is_bad[counted]
            hits = float((said & truth).sum())
            touched = float(bad[~windows.damaged].mean())
            f1, recall = 2 * hits / max(said.sum() + truth.sum(), 1), hits / max(truth.sum(), 1)
            tried.append((one, {"f1": float(f1), "recall": float(recall), "touched": touched}))
    best = max(result["f1"] for _, result in tried)
    good = [(one, result) for one, result in tried if result["f1"] >= best - settings.tolerance]
    chosen, result = max(good, key=lambda pair: pair[1]["recall"])
    probability = np.stack([values for values, _ in judged])
    auroc = _auroc(probability[windows.counted], (windows.share > 0)[windows.counted])
    return chosen, {**asdict(settings), f"fold_{LIMITS_FOLD}": {"auroc": auroc, **result}}


def finder_arrays(finder: Finder, facts: Mapping[str, object]) -> dict[str, NDArray[np.generic]]:
    """Returns a finder and facts on it as arrays by name, for a file that `Finder.load` reads."""
    return {**finder.arrays(), "facts": np.array(json.dumps(facts, sort_keys=True))}


def _read(paths: Mapping[int, Path], order: NDArray[np.int64]) -> Iterator[Ecg]:
    """Reads ECGs of ten seconds at `RATE_HZ`, by `ecg_id`, to the precision that stores keep."""
    for ecg_id in order:
        record = read_clean(paths[int(ecg_id)])
        if record is not None and record.signal.shape[-1] == round(WINDOW_S * RATE_HZ):
            yield str(ecg_id), record.signal.astype(np.float32).astype(np.float64)


def _auroc(probability: NDArray[np.float64], is_bad: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_bad, probability))
