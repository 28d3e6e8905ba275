"""Fits the calibration on trials of fold 9, by maximum likelihood, and chooses the limit for telling something."""

import math
from collections.abc import Mapping, Sequence
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
from reconstruction.electrodes.maps import AS_RECORDED, LEG, Hypothesis, hypotheses

OF_THEIR_OWN = ("LA/LL", "V1/V2")
"""Hypotheses with terms of their own; the others have those of their kind."""
TRAINING_FOLDS = tuple(range(1, 9))
CALIBRATION_FOLD = 9
AS_IT_IS_WEIGHT = 10.0
"""Weight of a trial without a swap: few ECGs in a hospital are swapped."""
SAMENESS, USUAL_OFFSET = 0.02, -3.0
"""How strongly weights are drawn to each other; what offsets are drawn to, a tenth as strongly."""


@dataclass(frozen=True)
class Settings:
    """What the calibration is fitted with; the keys of `configs/fit_electrodes.yaml`."""

    n_law: int
    n_records: int
    set_aside: Sequence[int]
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


def calibrate(trials: Sequence[Trial], law: NDArray[np.float64], settings: Settings) -> Calibration:
    """Fits weights and offsets, and chooses the limit that leaves the wanted share of right records alone."""
    known = [one for one in hypotheses().values() if one.undo is not None]
    used = [one for one in trials if hypotheses()[one.truth].kind != LEG]
    features = np.stack([log_ratios(one.evidence) for one in used])
    truth = np.array([[one.name for one in known].index(trial.truth) for trial in used])
    names = sorted({term_of(one, OF_THEIR_OWN) for one in known} - {AS_RECORDED})
    terms = dict(zip(names, _fit(features, truth, _groups(known, names), len(names)), strict=True))
    facts = {
        "records": len({one.record for one in used}),
        "trials": len(used),
        "fold": CALIBRATION_FOLD,
        "set_aside": list(settings.set_aside),
        "law_folds": list(TRAINING_FOLDS),
        "specificity": settings.specificity,
    }
    fitted = Calibration(law.tolist(), {AS_RECORDED: (0.0, 0.0), **terms}, 1.0, facts)
    right = [_as_recorded(one, fitted, known) for one in used if one.truth == AS_RECORDED]
    limit = float(np.quantile(right, 1 - settings.specificity))
    return Calibration(fitted.law, fitted.terms, math.floor(limit * 1e4) / 1e4, facts)


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
        surprise = (odds.logsumexp(dim=1) - odds[place, y]).clamp(max=50.0)
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


def _as_recorded(trial: Trial, calibration: Calibration, known: Sequence[Hypothesis]) -> float:
    odds: Mapping[str, float] = dict(
        zip((one.name for one in known), calibration.log_odds(trial.evidence, known).tolist(), strict=True)
    )
    return probabilities({name: value for name, value in odds.items() if np.isfinite(value)})[AS_RECORDED]
