"""The tables of the report on generated ECGs."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.ecg.measures.values import BY_NAME
from einthoven.report.tables import Row, format_row, markdown_table, results_table
from evaluation.generation.distances import OVERALL
from evaluation.generation.ecg_features import INTERVALS, WAVES
from evaluation.generation.measured import NORMAL
from evaluation.generation.neighbours import BEAT, RECORDING
from evaluation.report import bullets

FLOOR = "real train (floor)"
FLOOR_COLUMNS = ("floor", "floor_lower", "floor_upper")

ROWS = (
    Row("w1", "W1, mean over features (SD)", 3),
    Row("features_above_floor", "features beyond the floor's 95 % (of 42)", 0),
    Row("rr_cv", "CV of RR intervals, NORM and SR", 3),
    Row("p_waves", "P waves, NORM and SR (%)", 0),
    Row("psd_mmd", "PSD-MMD", 4),
    Row("kid", "KID", 4),
    Row("fid", "FID", 2),
    Row("without_beats", "ECGs without beats (%)", 1),
    Row("recording_nearest", "nearest training recording, median distance", 3),
    Row("recording_near", "near a training recording (%)", 1),
    Row("beat_nearest", "nearest training beat, median (mV)", 4),
    Row("beat_near", "near a training beat (%)", 1),
    Row("recording_training", "nearest real recording is a training one (%)", 1),
    Row("beat_training", "nearest real beat is a training one (%)", 1),
    Row("recording_diversity", "diversity of recordings", 3),
    Row("recording_diversity_ratio", "- over that of real ECGs", 3),
    Row("beat_diversity", "diversity of beats (mV)", 4),
    Row("beat_diversity_ratio", "- over that of real ECGs", 3),
)

_KINDS = {RECORDING: "recording", BEAT: "beat"}


def overview_table(real: str, n_records: int, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Sums up an evaluation, the real ECGs first: `method`, `metric`, `value`, `lower`, `upper`, `n_records`.

    The tables are by the names of their files: `distances.csv`, what `compare_features` found, with the column `run`;
    `rhythms.csv` and `judges.csv`, what `compare_rhythms` and `judge` found, with the column `run`; `neighbours.csv`,
    what `nearness_table` found, with the column `kind`; `diversity.csv`, what `diversity` found, with
    the columns `run` and `kind`; `features.parquet`, with the columns `set` and `problem`.
    """
    rows: list[tuple[object, ...]] = []

    def add(method: object, metric: str, row: Mapping[Any, Any], column: str, scale: str = "") -> None:
        edges = ("lower", "upper") if column == "w1" else (f"{column}_lower", f"{column}_upper")
        rows.append((method, metric, *(row.get(f"{scale}{name}", np.nan) for name in (column, *edges)), n_records))

    distances, features = tables["distances.csv"], tables["features.parquet"]
    n_problems = (features["problem"] != "").groupby(features["set"]).sum()
    runs = list(dict.fromkeys(distances["run"]))
    for name in (real, *runs):
        add(name, "without_beats", {"share": 100.0 * n_problems[name] / n_records}, "share")
    for name in runs:
        mine = distances[distances["run"] == name].set_index("feature")
        overall, single = mine.loc[OVERALL].to_dict(), mine.drop(index=[*WAVES, OVERALL])
        add(name, "w1", overall, "w1", "relative_")
        add(name, "features_above_floor", {"n": float((single["w1"] > single["floor_upper"]).sum())}, "n")
        if name == runs[0]:
            add(FLOOR, "w1", overall, "floor", "relative_")
    rhythms, judges = (tables[name] for name in ("rhythms.csv", "judges.csv"))
    for row in rhythms[rhythms["rhythm"] == NORMAL].to_dict("records"):
        if row["run"] == runs[0]:
            add(real, "rr_cv", {"cv": row["real_cv"]}, "cv")
            add(real, "p_waves", {"p": 100 * row["real_p"]}, "p")
        add(row["run"], "rr_cv", {"cv": row["generated_cv"]}, "cv")
        add(row["run"], "p_waves", {"p": 100 * row["generated_p"]}, "p")
    for row in judges.to_dict("records"):
        metric = row["judge"].lower().replace("-", "_")
        add(row["run"], metric, row, "value")
        if row["run"] == runs[0]:
            add(FLOOR, metric, row, "floor")
    for row in tables["neighbours.csv"].to_dict("records"):
        for metric, column in (("nearest", "median"), ("near", "near"), ("training", "training")):
            add(row["set"], f"{_KINDS[row['kind']]}_{metric}", row, column)
    for row in tables["diversity.csv"].to_dict("records"):
        kind = _KINDS[row["kind"]]
        if row["run"] == runs[0]:
            add(real, f"{kind}_diversity", row, "real")
        add(row["run"], f"{kind}_diversity", row, "generated")
        add(row["run"], f"{kind}_diversity_ratio", row, "ratio")
    return pd.DataFrame(rows, columns=["method", "metric", "value", "lower", "upper", "n_records"])


def write_markdown(
    table: pd.DataFrame,
    distances: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    notes: Sequence[str],
) -> str:
    """Writes the report for people: the summary, judges, per run its measures and features, and the notes.

    The tables are by the names of their files: `judges.csv`, `measures.csv` and `rhythms.csv`, with the column `run`.
    """
    parts = [results_table(table, ROWS), f"## Judges\n\n{_judges_table(tables['judges.csv'])}"]
    for name, found in distances.items():
        measures, rhythms = (
            of_all[of_all["run"] == name] for of_all in (tables["measures.csv"], tables["rhythms.csv"])
        )
        parts.append(f"## {name}\n\n{_measures_table(measures)}")
        parts.append(f"Rhythms: CV of the RR intervals, and P waves:\n\n{_rhythms_table(rhythms)}")
        parts.append(f"Features of the median beat:\n\n{_feature_table(found)}")
        parts.append(f"W1 of amplitudes per lead in mV, floor in brackets:\n\n{_lead_table(found)}")
    parts.append(bullets(notes))
    return "\n".join(parts)


def _judges_table(judges: pd.DataFrame) -> str:
    lines = [
        [row["run"], row["judge"], f"{row['value']:.4f}", format_row(row, 4, ["floor", "floor_lower", "floor_upper"])]
        for row in judges.to_dict("records")
    ]
    return markdown_table(["run", "judge", "generated to real", "real to real (floor)"], lines)


def _measures_table(measures: pd.DataFrame) -> str:
    lines = []
    for row in measures.to_dict("records"):
        known = BY_NAME[row["measure"]]
        spreads = [_spread(row, of, known.digits) for of in ("real", "generated")]
        distances = [format_row(row, 3, names) for names in (("w1", "lower", "upper"), FLOOR_COLUMNS)]
        label = f"{known.label} ({known.unit})" + ", mean of leads" * (not known.over_leads)
        lines.append([label, *spreads, *distances, f"{row['n_real']}, {row['n_generated']}"])
    return markdown_table(["", "real", "generated", "W1 (SD)", "floor (SD)", "found in"], lines)


def _rhythms_table(rhythms: pd.DataFrame) -> str:
    lines = [
        [
            row["rhythm"],
            str(row["n_records"]),
            f"{row['real_cv']:.3f}",
            f"{row['generated_cv']:.3f}",
            format_row(row, 3, ["difference", "lower", "upper"]),
            f"{100 * row['real_p']:.0f}, {100 * row['generated_p']:.0f}",
        ]
        for row in rhythms.to_dict("records")
    ]
    header = ["statements", "records", "CV, real", "CV, generated", "difference", "P waves in %, real, generated"]
    return markdown_table(header, lines)


def _feature_table(found: pd.DataFrame) -> str:
    rows = {str(row["feature"]): row for row in found.to_dict("records")}
    labels = {feature.name: (f"{feature.label} ({feature.unit})", feature.digits) for feature in INTERVALS}
    labels |= {wave: (f"{wave} amplitude (mV)", 3) for wave in WAVES} | {OVERALL: ("mean", 3)}
    lines = []
    for name, (label, digits) in labels.items():
        row = rows[name]
        spreads = [_spread(row, of, digits) for of in ("real", "generated")]
        distances = [
            format_row(row, shown, [f"{scale}{column}" for column in columns])
            for scale, shown in (("", digits), ("relative_", 3))
            for columns in (("w1", "lower", "upper"), ("floor", "floor_lower", "floor_upper"))
        ]
        lines.append([label, *spreads, *distances, f"{row['n_real']:.0f}, {row['n_generated']:.0f}"])
    header = ["", "real", "generated", "W1", "floor", "W1 (SD)", "floor (SD)", "found in"]
    return markdown_table(header, lines)


def _spread(row: Mapping[Hashable, Any], of: str, digits: int) -> str:
    mean, sd = row[f"{of}_mean"], row[f"{of}_sd"]
    return f"{mean:.{digits}f} +- {sd:.{digits}f}" if np.isfinite(mean) else "-"


def _lead_table(found: pd.DataFrame) -> str:
    by_name = found.set_index("feature")
    lines = []
    for lead in LEADS:
        rows = [by_name.loc[f"{wave.lower()}_{lead}"] for wave in WAVES]
        lines.append([lead, *(f"{row['w1']:.3f} ({row['floor']:.3f})" for row in rows)])
    return markdown_table(["lead", *WAVES], lines)
