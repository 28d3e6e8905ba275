"""The probability that a reader would note noise in a lead: static noise, drift, bursts, or any of them.

A logistic rule for each on the PSNR and plain features of the lead, and on their medians over the limb or chest
leads: noise of an electrode or of a muscle is seldom in one lead alone. Each input moves each probability one way only.
Fitted on the notes of PTB-XL's readers (Wagner et al., Scientific Data 7, 154, 2020).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.lead_scores import NOISES
from noise_quant.scoring.rules.acceptance import PERFECT_DB
from noise_quant.scoring.rules.lead_features import FEATURES
from noise_quant.scoring.rules.logistic import auroc, fit_logistic, held_out, probability
from noise_quant.scoring.verdict import group_medians

LABELS = {"static": "static", "drift": "baseline", "burst": "burst"}
"""Kinds of noise, and the label of PTB-XL's leads that speaks of each; `NOISES` has any of them too."""
_ANY = NOISES[0]
OWN = ("psnr", *(name for name in FEATURES if name != "range_mv"))
INPUTS = (*OWN, *(f"group_{name}" for name in OWN))
LEAST_MV = 1e-3
"""Amplitudes below the step of recorders do not differ."""
PENALTY = 3e-3
"""On the squares of the weights of standardised inputs; from 1e-4 to 1e-2 leads held out are told as well."""
N_PARTS = 8
"""Parts of the records that are held out in turn."""
MIN_LEADS = 30
"""Fewest leads with and without a kind of noise that a rule is fitted on."""
COLUMNS = ("ecg_id", "segment", "lead", "unusable", *LABELS.values(), *OWN)
"""What a table of scores needs for the fit."""


@dataclass(frozen=True)
class LeadNoise:
    """The rules: log odds = offset + sum of weight times input, by `NOISES`.

    Attributes:
        offsets: Log odds.
        weights: Of the inputs that count, by their names among `INPUTS`, 0 or more.
    """

    offsets: Mapping[str, float]
    weights: Mapping[str, Mapping[str, float]]

    def probability(
        self,
        psnr: NDArray[np.float64],
        features: Mapping[str, NDArray[np.float64]],
        unusable: NDArray[np.bool_],
        leads: Sequence[str],
    ) -> dict[str, NDArray[np.float64]]:
        """Judges the leads of a record.

        Args:
            psnr: In dB, shape (C, S).
            features: `FEATURES`, each of shape (C, S).
            unusable: Shape (C, S).
            leads: Names of the C leads.

        Returns:
            Probabilities by `NOISES`, each of shape (C, S); NaN where a lead is not usable, or shorter than
            five seconds.
        """
        inputs = lead_inputs(psnr, features, unusable, leads)
        found = {}
        for kind, offset in self.offsets.items():
            odds = np.where(unusable, np.nan, offset)
            for name, weight in self.weights[kind].items():
                odds = odds + weight * inputs[name]
            found[kind] = probability(odds)
        return _joined(found)


def lead_inputs(
    psnr: NDArray[np.float64],
    features: Mapping[str, NDArray[np.float64]],
    unusable: NDArray[np.bool_],
    leads: Sequence[str],
) -> dict[str, NDArray[np.float64]]:
    """Lays out `INPUTS`, higher is noisier, each of shape (C, S); arguments as for `LeadNoise.probability`."""
    own = {"psnr": -np.minimum(psnr, PERFECT_DB)}
    for name in OWN[1:]:
        values = features[name]
        own[name] = np.log(np.maximum(values, LEAST_MV)) if name.endswith("_mv") else values
    own["beats"] = -own["beats"]
    values = np.where(unusable, np.nan, np.stack(list(own.values())))
    groups = np.moveaxis(values, 0, -1)
    groups = group_medians(groups.reshape(len(groups), -1), leads).reshape(groups.shape)
    return dict(zip(INPUTS, (*values, *np.moveaxis(groups, -1, 0)), strict=True))


def find_lead_noise(model: ScalogramDiffusion, process: ReverseProcess) -> LeadNoise | None:
    """Looks up the rules of a model for a reverse process, in `facts["lead_noise"]` of its file; None: none known."""
    known: Mapping[str, Any] = model.facts.get("lead_noise") or {}
    rules = known.get(process.key)
    if rules is None:
        return None
    offsets = {kind: float(rule["offset"]) for kind, rule in rules.items()}
    weights = {kind: {name: float(rule[name]) for name in INPUTS if name in rule} for kind, rule in rules.items()}
    return LeadNoise(offsets, weights)


@dataclass(frozen=True)
class LeadNoiseFit:
    """Fitted rules.

    Attributes:
        rule: The rules.
        n_leads: Usable leads that they were fitted on.
        n_noisy: How many of them have each kind of noise.
        auroc: Of leads with each kind against clean ones, each judged by a rule that was fitted without its record.
    """

    rule: LeadNoise
    n_leads: int
    n_noisy: dict[str, int]
    auroc: dict[str, float]

    @property
    def facts(self) -> dict[str, dict[str, float]]:
        """What is written beside the weights."""
        rules = self.rule.offsets.items()
        return {
            kind: {"offset": round(offset, 4)}
            | {name: round(value, 5) for name, value in self.rule.weights[kind].items()}
            for kind, offset in rules
        }

    def describe(self) -> str:
        """Says in one line what they were fitted on, and how good they are."""
        found = ", ".join(f"{kind} {self.auroc[kind]:.3f} ({count})" for kind, count in self.n_noisy.items())
        return f"leads noisy or not: {self.n_leads} leads; held out, AUROC (noisy leads) {found}"


def fit_lead_noise(scores: pd.DataFrame, seed: int = 0) -> LeadNoiseFit:
    """Fits the rules, with weights that are 0 or more.

    Args:
        scores: A row per lead of whole records, with `COLUMNS`.
        seed: Of the parts that are held out.

    Raises:
        ValueError: If noisy or other leads are too few.
    """
    table = scores[scores["segment"] == 0].reset_index(drop=True)
    inputs = _table_inputs(table)
    known = np.flatnonzero(~np.isnan(inputs).any(axis=1))
    table, inputs = table.iloc[known], inputs[known]
    labels = {kind: table[column].to_numpy(dtype=bool) for kind, column in LABELS.items()}
    least = min(int(min(label.sum(), (~label).sum())) for label in labels.values())
    if least < MIN_LEADS:
        raise ValueError(
            f"{MIN_LEADS} leads of each kind of noise and {MIN_LEADS} others are needed, not {least}: score the "
            "training folds of PTB-XL with source=ptbxl split=train"
        )
    records, names = pd.factorize(table["ecg_id"])
    part = (np.random.default_rng(seed).permutation(len(names)) % N_PARTS)[records]
    labels = {_ANY: np.any(list(labels.values()), axis=0), **labels}
    offsets, weights, told = {}, {}, {}
    for kind, label in labels.items():
        told[kind] = probability(held_out(inputs, label, part, PENALTY))
        offsets[kind], values = fit_logistic(inputs, label, PENALTY)
        weights[kind] = {name: float(value) for name, value in zip(INPUTS, values, strict=True) if value > 0}
    compared = {kind: ~labels[_ANY] | label for kind, label in labels.items()}
    found = {
        kind: auroc(values[compared[kind]], labels[kind][compared[kind]]) for kind, values in _joined(told).items()
    }
    counts = {kind: int(label.sum()) for kind, label in labels.items()}
    return LeadNoiseFit(LeadNoise(offsets, weights), len(table), counts, found)


def _joined(found: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Raises the probability of any noise to that of the likeliest kind."""
    return {**found, _ANY: np.max(list(found.values()), axis=0)}


def _table_inputs(table: pd.DataFrame) -> NDArray[np.float64]:
    """Returns the inputs of the rows of a table with a row per lead, shape (rows, inputs)."""
    usable = table.assign(unusable=table["unusable"].astype(float))
    (rows, leads), (columns, records) = pd.factorize(table["lead"]), pd.factorize(table["ecg_id"])
    wide = {name: np.full((len(leads), len(records)), np.nan) for name in (*OWN, "unusable")}
    for name, values in wide.items():
        values[rows, columns] = usable[name]
    inputs = lead_inputs(wide["psnr"], wide, wide["unusable"] != 0, leads.tolist())
    return np.stack([inputs[name][rows, columns] for name in INPUTS], axis=-1)
