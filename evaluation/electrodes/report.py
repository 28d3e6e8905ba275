"""The report on the check: sensitivities with intervals over records, what is taken for what, and false alarms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from einthoven.report.tables import markdown_table
from einthoven.statistics import bootstrap_intervals
from evaluation.electrodes.scoring import compared
from evaluation.report import Report, bullets, result_cell
from reconstruction.electrodes.calibration import Calibration
from reconstruction.electrodes.maps import AS_RECORDED, hypotheses


class Draws(NamedTuple):
    """Bootstrap draws, and their seed."""

    n_resamples: int
    seed: int


def write_report(
    scores: pd.DataFrame,
    decisions: pd.DataFrame,
    groups: Mapping[str, str],
    calibration: Calibration,
    settings: Mapping[str, float],
    notes: Sequence[str],
    folder: Path,
) -> Report:
    """Writes `sensitivity.csv` and `.md`, the decisions and what they were made of; returns the report.

    Args:
        scores: What `score_table` returns.
        decisions: What `decision_table` returns.
        groups: The group of each record, by rhythm and diagnosis; a record may be in several, separated by ", ".
        calibration: What decided.
        settings: `specificity`, `n_resamples` and `seed`.
        notes: What to add.
        folder: Where to write.
    """
    draws = Draws(int(settings["n_resamples"]), int(settings["seed"]))
    sensitivity = sensitivities(scores, settings["specificity"], draws)
    right = decisions[decisions["truth"] == AS_RECORDED]
    matched = float(np.quantile(right["as_recorded"], 1 - settings["specificity"]))
    limits = {
        f"packaged limit, {calibration.limit:.3f}": calibration.limit,
        f"limit of specificity {settings['specificity']:g} here, {matched:.3f}": matched,
    }
    text = [f"{right['record'].nunique()} records; 95 % bootstrap intervals over records in brackets", ""]
    text += [f"## Each swap against the right ECG: sensitivity at specificity {settings['specificity']:g}", ""]
    text += [sensitivity_lines(sensitivity)]
    tables = {"sensitivity.csv": sensitivity}
    for place, (label, limit) in enumerate(limits.items()):
        found = decisions.assign(told=np.where(decisions["as_recorded"] < limit, decisions["other"], AS_RECORDED))
        summary = _decided(found, draws)
        text += [f"## All mistakes at once: {label}", "", told_lines(summary)]
        if place == 0:
            tables |= {"decisions.csv": found, "summary.csv": summary, "confusion.csv": _confusion(found)}
            text += ["## What is taken for what, by kind", "", _confusion_lines(found)]
            text += ["## By rhythm and diagnosis", "", told_lines(_by_group(found, groups, draws))]
            text += ["## False alarms", "", bullets(_false_alarms(found, groups)) or "none\n"]
    return Report({**tables, "scores.parquet": scores}, "\n".join([*text, bullets(list(notes))])).write(folder)


def sensitivities(scores: pd.DataFrame, specificity: float, draws: Draws) -> pd.DataFrame:
    """Sensitivity for each swap and method at the limit that leaves that share of right records alone."""
    rows = []
    for (name, method), own in scores.groupby(["hypothesis", "method"], sort=False):

        def share(values: np.ndarray) -> np.ndarray:
            limit = np.quantile(values[:, 0], specificity, method="higher")
            return np.array([(values[:, 1] > limit).mean()])

        (found,) = bootstrap_intervals(
            own[["right", "swapped"]].to_numpy(), share, n_resamples=draws.n_resamples, seed=draws.seed
        )
        rows.append((name, method, len(own), found.estimate, found.lower, found.upper))
    return pd.DataFrame(rows, columns=["hypothesis", "method", "n", "value", "lower", "upper"])


def sensitivity_lines(sensitivity: pd.DataFrame) -> str:
    """Writes sensitivities as a table of swaps and methods."""
    methods = list(dict.fromkeys(sensitivity["method"]))
    rows = [
        [name, *(result_cell(sensitivity, 3, hypothesis=name, method=method) for method in methods)]
        for name in dict.fromkeys(sensitivity["hypothesis"])
    ]
    return markdown_table(["swap", *methods], rows)


def _decided(found: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """How often something is told, and the right thing, for each common swap and each kind of the others."""
    labels = found["truth"].where(found["truth"].isin([*compared(), AS_RECORDED]), found["kind"])
    return told_shares(found, labels, [AS_RECORDED, *compared(), *labels], draws)


def told_shares(found: pd.DataFrame, labels: pd.Series, order: Sequence[str], draws: Draws) -> pd.DataFrame:
    """How often a mistake is told, and the right one, for decisions of each label, in an order of the labels."""
    rows = []
    for label in dict.fromkeys(order):
        own = found[labels == label]
        if own.empty:
            continue
        told = own["told"] != AS_RECORDED
        values = np.stack([told, own["told"] == own["truth"]], axis=1).astype(float)
        for what, one in zip(
            ("told", "right"), bootstrap_intervals(values, n_resamples=draws.n_resamples, seed=draws.seed), strict=True
        ):
            rows.append((label, what, len(own), one.estimate, one.lower, one.upper))
    return pd.DataFrame(rows, columns=["truth", "what", "n", "value", "lower", "upper"])


def _by_group(found: pd.DataFrame, groups: Mapping[str, str], draws: Draws) -> pd.DataFrame:
    rows = []
    members = found["record"].map(lambda record: groups.get(record, "").split(", "))
    for group in sorted({name for names in members for name in names if name}):
        own = found[members.map(lambda names, group=group: group in names)]
        for label, part in (
            ("as recorded", own[own["truth"] == AS_RECORDED]),
            ("swapped", own[own["truth"] != AS_RECORDED]),
        ):
            values = np.stack([part["told"] != AS_RECORDED, part["told"] == part["truth"]], axis=1).astype(float)
            for what, one in zip(
                ("told", "right"),
                bootstrap_intervals(values, n_resamples=draws.n_resamples, seed=draws.seed),
                strict=True,
            ):
                rows.append((f"{group}, {label}", what, len(part), one.estimate, one.lower, one.upper))
    return pd.DataFrame(rows, columns=["truth", "what", "n", "value", "lower", "upper"])


def told_lines(table: pd.DataFrame) -> str:
    """Writes shares that are told, and told rightly, as a table."""
    rows = []
    for label in dict.fromkeys(table["truth"]):
        own = table[table["truth"] == label]
        cells = [result_cell(own, 3, what=what) for what in ("told", "right")]
        rows.append([label, str(own["n"].iloc[0]), *cells])
    return markdown_table(["truth", "n", "share of which a mistake is told", "share told rightly"], rows)


def _confusion(found: pd.DataFrame) -> pd.DataFrame:
    return pd.crosstab(found["truth"], found["told"]).reset_index()


def _confusion_lines(found: pd.DataFrame) -> str:
    kinds = found["told"].map(lambda name: hypotheses()[name].kind)
    kinds = kinds.where((found["told"] == found["truth"]) | (kinds != found["kind"]), kinds + ", another")
    table = pd.crosstab(found["kind"], kinds)
    rows = [[str(kind), *map(str, counts)] for kind, counts in zip(table.index, table.to_numpy(), strict=True)]
    return markdown_table(["truth", *map(str, table.columns)], rows)


def _false_alarms(found: pd.DataFrame, groups: Mapping[str, str]) -> list[str]:
    false = found[(found["truth"] == AS_RECORDED) & (found["told"] != AS_RECORDED)].sort_values("as_recorded")
    return [
        f"{row.record}: {row.told}, 'as recorded' {row.as_recorded:.3f} ({groups.get(str(row.record), '')})"
        for row in false.itertuples()
    ]
