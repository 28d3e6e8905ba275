"""Fits the calibration on trials, by maximum likelihood, and chooses the limit for telling something.

Trials hold far more swaps than a hospital's recordings do, and of other kinds: so the offsets that were fitted are
brought to the shares of `SHARES`. The limit is chosen on records that the terms were not fitted on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.run.progress import show_progress
from reconstruction.electrodes.calibration import Calibration, log_ratios, probabilities, term_of
from reconstruction.electrodes.covariance import mean_covariance
from reconstruction.electrodes.fitting.trials import Trial, Trials
from reconstruction.electrodes.maps import (
    AS_RECORDED,
    INVERTED,
    LEG,
    LIMB,
    LIMB_CHEST,
    NAMES,
    NEIGHBOURS,
    PAIR,
    REVERSED,
    Hypothesis,
    hypotheses,
)

WRONG_RECORDS = 0.02
"""Share of the records whose electrodes, as they are, may have been swapped in truth: no weight is bent to fit them."""
OF_THEIR_OWN = ("LA/LL", "V1/V2")
"""Hypotheses with terms of their own; the others have those of their kind."""
TRAINING_FOLDS = tuple(range(1, 9))
CALIBRATION_FOLD = 9
AS_IT_IS_WEIGHT = 10.0
"""Weight of a trial without a swap: what it is taken for costs most."""
SHARES = {
    LIMB: 0.009, NEIGHBOURS: 0.006, PAIR: 0.001, REVERSED: 0.0005, LIMB_CHEST: 0.0005, INVERTED: 0.0005, NAMES: 0.0005,
}  # fmt: skip
"""Share of recordings with a mistake, by kind. Together, with the right leg's, about the 2 % of 11,000 ECGs of Heden
and others, as cited by PMC6932211; Rudiger and others (Am J Emerg Med 25, 174-178 (2007)) found 0.4 % in outpatients
and 4 % in intensive care. How they split up is an assumption: cables of limbs and of neighbours are swapped by hand,
names of leads only where a file is made."""
SAMENESS, USUAL_OFFSET = 0.02, -3.0
"""How strongly weights are drawn to each other; what offsets are drawn to, a tenth as strongly."""


@dataclass(frozen=True)
class Settings:
    """What the calibration is fitted with; the keys of `configs/fit_electrodes.yaml`."""

    n_law: int
    n_records: int
    set_aside: Sequence[int]
    n_others: int
    others_aside: Sequence[str]
    n_parts: int
    specificity: float
    seed: int


def fold_records(root: Path, folds: Sequence[int], seed: int | None = None) -> list[Path]:
    """Finds the records at 100 Hz of folds of PTB-XL, in random order where a seed is given; ValueError for none."""
    if not (root / "ptbxl_database.csv").is_file():
        raise ValueError(f"{root}: there is no ptbxl_database.csv; give the folder of PTB-XL as downloaded")
    table = pd.read_csv(root / "ptbxl_database.csv")
    table = table[table["strat_fold"].isin(list(folds))]
    if seed is not None:
        table = table.sample(frac=1, random_state=seed)
    return [path for name in table["filename_lr"] if (path := root / name).with_suffix(".hea").is_file()]


def usual_covariance(root: Path, n_records: int) -> NDArray[np.float64]:
    """Returns the mean covariance of the eight leads, (8, 8), of so many records of folds 1 to 8."""

    def ecg(recording: Recording) -> NDArray[np.float64]:
        return clean_signal(recording.ordered(INDEPENDENT_LEADS), recording.sampling_rate, recording.sampling_rate)

    paths = islice(fold_records(root, TRAINING_FOLDS), n_records)
    whole = (one for one in map(read, paths) if np.isfinite(one.ordered(INDEPENDENT_LEADS)).all())
    return mean_covariance(map(ecg, whole)).round(5)


def look_at(paths: Sequence[Path], trials: Trials) -> tuple[list[Trial], list[str]]:
    """Looks at recordings; returns the trials, and why others could not be used."""
    found: list[Trial] = []
    unusable = []
    with show_progress(len(paths), "record") as bar:
        for path in paths:
            try:
                found += trials.of(read(path))
            except ValueError as error:
                unusable.append(str(error))
            bar.update()
    return found, unusable


def other_records(root: Path, n_records: int, aside: Sequence[str], seed: int) -> list[Path]:
    """Draws WFDB records of other hospitals below a folder, but for some names; ValueError where there are none."""
    paths = sorted(header.with_suffix("") for header in root.rglob("*.hea"))
    if n_records and not paths:
        raise ValueError(f"{root}: there are no WFDB records; give others_path, or n_others=0")
    order = np.random.default_rng(seed).permutation(len(paths))[:n_records]
    return [paths[place] for place in order if paths[place].name not in aside]


def calibrate(trials: Sequence[Trial], law: NDArray[np.float64], settings: Settings) -> Calibration:
    """Fits weights and offsets, and chooses the limit that leaves the wanted share of right records alone."""
    used = [one for one in trials if hypotheses()[one.truth].kind != LEG]
    right = [shares[AS_RECORDED] for trial, shares in cross_fitted(used, settings) if trial.truth == AS_RECORDED]
    limit = math.floor(float(np.quantile(right, 1 - settings.specificity)) * 1e4) / 1e4
    facts = {
        "records": len({one.record for one in used}),
        "trials": len(used),
        "fold": CALIBRATION_FOLD,
        "set_aside": [*settings.set_aside, *settings.others_aside],
        "law_folds": list(TRAINING_FOLDS),
        "specificity": settings.specificity,
        "shares": SHARES,
    }
    return Calibration(law.tolist(), _terms(used), limit, facts)


def cross_fitted(trials: Sequence[Trial], settings: Settings) -> list[tuple[Trial, dict[str, float]]]:
    """Judges each trial by terms that were fitted on other records; returns the probabilities."""
    records = sorted({one.record for one in trials})
    order = np.random.default_rng(settings.seed).permutation(len(records))
    part = {records[place]: number % settings.n_parts for number, place in enumerate(order)}
    known, found = _undoable(), []
    for number in range(settings.n_parts):
        terms = _terms([one for one in trials if part[one.record] != number])
        fitted = Calibration((), terms, 1.0, {})
        for one in trials:
            if part[one.record] == number:
                odds = zip((h.name for h in known), fitted.log_odds(one.evidence, known).tolist(), strict=True)
                found.append((one, probabilities({name: value for name, value in odds if np.isfinite(value)})))
    return found


def _undoable() -> list[Hypothesis]:
    return [one for one in hypotheses().values() if one.undo is not None]


def _terms(trials: Sequence[Trial]) -> dict[str, tuple[float, float]]:
    """Fits the terms of trials, and brings their offsets to the shares of `SHARES`."""
    known = _undoable()
    features = np.stack([log_ratios(one.evidence) for one in trials])
    truth = np.array([[one.name for one in known].index(trial.truth) for trial in trials])
    names = sorted({term_of(one, OF_THEIR_OWN) for one in known} - {AS_RECORDED})
    groups = _groups(known, names)
    asked = np.isfinite(features[np.arange(len(truth)), truth])
    counts = np.bincount(groups[truth[asked]], minlength=len(names) + 1)
    sizes = np.bincount(groups)
    usual = {one.name: SHARES[one.kind] / sum(h.kind == one.kind for h in known) for one in known[1:]}
    found: dict[str, tuple[float, float]] = {AS_RECORDED: (0.0, 0.0)}
    for place, (name, (weight, offset)) in enumerate(
        zip(names, _fit(features, truth, groups, len(names)), strict=True)
    ):
        of_trials = max(counts[place], 1) / sizes[place] / (AS_IT_IS_WEIGHT * max(counts[-1], 1))
        share = next(usual[one.name] for one in known[1:] if term_of(one, OF_THEIR_OWN) == name)
        wanted = share / (1 - sum(SHARES.values()))
        found[name] = (weight, round(offset + math.log(wanted / of_trials), 4))
    return found


def _groups(known: Sequence[Hypothesis], names: Sequence[str]) -> NDArray[np.int64]:
    """Returns the number of each hypothesis's terms, the last for "as recorded"."""
    found = [term_of(one, OF_THEIR_OWN) for one in known]
    return np.array([len(names) if name == AS_RECORDED else list(names).index(name) for name in found])


def _fit(
    features: NDArray[np.float64], truth: NDArray[np.int64], groups: NDArray[np.int64], n_groups: int
) -> list[tuple[float, float]]:
    """Fits terms: of trials whose log ratios are (trials, hypotheses), and whose true hypothesis has a number."""
    asked = torch.from_numpy(np.isfinite(features))
    x, y = torch.from_numpy(np.nan_to_num(features)), torch.from_numpy(truth)
    place, of = torch.arange(len(y)), torch.from_numpy(groups)
    weight = torch.where(y == 0, AS_IT_IS_WEIGHT, 1.0).double() * asked[place, y]
    free = torch.full((2, n_groups), 3.0, dtype=torch.float64)  # log of the weight, and the offset
    free[1] = USUAL_OFFSET
    free.requires_grad_(True)

    def loss() -> Tensor:
        terms = torch.cat([torch.stack([free[0].exp(), free[1]]), free.new_zeros(2, 1)], dim=1)[:, of]
        odds = torch.where(asked, x * terms[0] + terms[1], -1e9)
        sure = (odds[place, y] - odds.logsumexp(dim=1)).exp()
        surprise = -(WRONG_RECORDS + (1 - WRONG_RECORDS) * sure).log()
        spread = (free[0] - free[0].mean()).square().mean()
        away = (free[1] - USUAL_OFFSET).square().mean()
        return (weight * surprise).sum() / weight.sum() + SAMENESS * (spread + away / 10)

    optimiser = torch.optim.LBFGS([free], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
    found = torch.stack([free[0].exp(), free[1]]).detach().numpy().round(4)
    return [(float(weight), float(offset)) for weight, offset in found.T]
