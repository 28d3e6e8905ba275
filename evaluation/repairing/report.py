"""The report on repairs: what was found, how near it came, and what it did to waves, with intervals over records."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from einthoven.ecg.leads import LEADS
from einthoven.report.tables import format_interval, markdown_table
from einthoven.statistics import Interval
from evaluation.measures.errors import report_errors
from evaluation.repairing.baselines import RATE_HZ
from evaluation.repairing.scoring import CLEAN, DAMAGED, ECGS, REPAIRED, Scored
from evaluation.report import Report, bullets
from evaluation.scores import Estimate
from preprocessing.damage import BAD_SHARE

PARTS = ("score", "checks", "plain", "misfit", "all")
Tables = Mapping[str, pd.DataFrame]
_DIFFERENCES = ("", f"to_{CLEAN}_", f"to_{DAMAGED}_")


def write_report(
    scored: list[Scored],
    folder: Path,
    n_resamples: int,
    seed: int,
    notes: list[str],
    statements: pd.DataFrame | None = None,
) -> Report:
    """Sums up over records with bootstrap 95 % intervals; writes `table.csv`, `table.md` and the rows themselves.

    What a classifier made of the records, `statements`, is told too: see `score_statements`.
    """
    tables = {name: pd.concat([getattr(one, name) for one in scored]) for name in ("pieces", "errors", "waves")}
    draws = Draws([one.pieces["record"].iloc[0] for one in scored], n_resamples, seed)
    parts = {
        "Finding what is bad (lead-seconds)": _detection(tables["pieces"], draws),
        "Error in the damaged parts": _errors(tables["errors"], draws),
        "Waves in the damaged parts, against the clean record's": wave_table(tables["waves"], draws),
    }
    if statements is not None:
        parts["Statements that a classifier finds"] = _statements(statements)
    measures, section = report_errors(_estimates(scored), LEADS, len(scored), n_resamples, seed)
    files = measures | {f"{name}.parquet": table for name, table in tables.items()}
    return write_tables(parts, files, len(scored), folder, notes, section)


def _estimates(scored: list[Scored]) -> dict[str, Estimate]:
    """Lays damaged, repaired and filtered records out beside the clean ones, by method, cut to the shortest."""
    length = min(one.ecgs.shape[-1] for one in scored)
    ecgs = dict(zip(ECGS, np.stack([one.ecgs[..., :length] for one in scored], axis=1), strict=True))
    truth = ecgs.pop(CLEAN)
    estimates = {name: Estimate(ecg, truth, np.ones(truth.shape, bool), RATE_HZ) for name, ecg in ecgs.items()}
    n_samples = max(0 if one.samples is None else len(one.samples) for one in scored)
    if n_samples > 1:
        same = [np.repeat(one.ecgs[ECGS.index(REPAIRED)][None], n_samples, axis=0) for one in scored]
        drawn = [one if own.samples is None else own.samples for own, one in zip(scored, same, strict=True)]
        samples = np.stack([values[..., :length] for values in drawn])
        estimates[REPAIRED] = replace(estimates[REPAIRED], samples=samples)
    return estimates


def write_marks(waves: pd.DataFrame, folder: Path, n_resamples: int, seed: int, notes: list[str]) -> Report:
    """Sums up distances to cardiologists' marks, `score_marks` of all records together, and writes them likewise."""
    records = list(dict.fromkeys(waves["record"]))
    parts = {"Waves in the damaged parts, against the marks": wave_table(waves, Draws(records, n_resamples, seed))}
    return write_tables(parts, {"waves.parquet": waves}, len(records), folder, notes)


def write_tables(
    parts: Tables, files: Tables, n_records: int, folder: Path, notes: list[str], section: str = ""
) -> Report:
    """Writes tables of intervals by their headings, as text and flat, beside other tables by their files' names.

    A section that is written already comes before the notes.
    """
    text = [f"{n_records} records; 95 % bootstrap intervals over records in brackets", ""]
    for heading, table in parts.items():
        rows = [[cell if isinstance(cell, str) else _cell(cell) for cell in row] for row in table.to_numpy()]
        text += [f"## {heading}", "", markdown_table(list(table.columns), rows)]
    summary = pd.concat([_flat(table).assign(part=heading) for heading, table in parts.items()])
    return Report({"table.csv": summary, **files}, "\n".join([*text, section, bullets(notes)])).write(folder)


def _statements(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row in table.to_dict("records"):
        cells = [Interval(*(row[f"{key}{bound}"] for bound in ("value", "lower", "upper"))) for key in _DIFFERENCES]
        rows.append([f"{row['ecg']} ({row['n_classes']} classes)", *cells])
    return pd.DataFrame(rows, columns=["", "macro AUROC", "above the clean", "above the damaged"])


class Draws:
    """Draws of records with replacement, and statistics over them; sums per record are taken once."""

    def __init__(self, records: list[str], n_resamples: int, seed: int) -> None:
        self.records = pd.Index(records)
        rng = np.random.default_rng(seed)
        self.rows = rng.integers(0, len(records), (n_resamples, len(records)))

    def ratio(self, table: pd.DataFrame, function: Callable[[np.ndarray], np.ndarray]) -> Interval:
        """Sums the columns of a table over records, and takes a function of the sums, (k,) or (n, k), to (n,)."""
        sums = table.groupby("record").sum().reindex(self.records).fillna(0.0).to_numpy(dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._interval(float(function(sums.sum(axis=0)[None])[0]), function(sums[self.rows].sum(axis=1)))

    def auroc(self, table: pd.DataFrame, column: str) -> Interval:
        """AUROC of a column for `is_bad`; a tenth of the draws, as each sorts all."""
        groups = [part for _, part in table.groupby("record")]
        truth, values = ([part[name].to_numpy() for part in groups] for name in ("is_bad", column))
        draws = [
            roc_auc_score(np.concatenate([truth[k] for k in row]), np.concatenate([values[k] for k in row]))
            for row in self.rows[: max(20, len(self.rows) // 10)] % len(groups)
        ]
        return self._interval(float(roc_auc_score(np.concatenate(truth), np.concatenate(values))), np.array(draws))

    def _interval(self, estimate: float, draws: np.ndarray) -> Interval:
        finite = draws[np.isfinite(draws)]
        lower, upper = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
        return Interval(estimate, float(lower), float(upper))


def _detection(pieces: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    counted = pieces[pieces["damaged"] & ((pieces["hurt"] == 0) | (pieces["hurt"] >= BAD_SHARE))]
    counted = counted.assign(is_bad=counted["hurt"] > 0)
    rows: list[tuple[object, ...]] = [(f"AUROC, {part}", draws.auroc(counted, part)) for part in PARTS]
    bad, found = counted["is_bad"], counted["bad"]
    counts = pd.DataFrame({"record": counted["record"], "both": bad & found, "bad": bad, "found": found, "n": 1})
    rows.append(("F1 of the decision", draws.ratio(counts, lambda s: 2 * s[:, 0] / (s[:, 1] + s[:, 2]))))
    rows.append(("share of bad lead-seconds found", draws.ratio(counts, lambda s: s[:, 0] / s[:, 1])))
    rows.append(("share of those found that are bad", draws.ratio(counts, lambda s: s[:, 0] / s[:, 2])))
    for name, part in (
        ("damaged records", counted[~counted["is_bad"]]),
        ("records left alone", pieces[~pieces["damaged"]]),
    ):
        touched = pd.DataFrame({"record": part["record"], "touched": part["touched"], "n": 1})
        rows.append((f"good lead-seconds touched, {name} (%)", draws.ratio(touched, lambda s: 100 * s[:, 0] / s[:, 1])))
    return pd.DataFrame(rows, columns=["", "value"])


def _errors(errors: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    methods = [name for name in dict.fromkeys(errors["method"])]
    rows = []
    for kind in ("all", *sorted(errors["kind"].unique())):
        part = errors if kind == "all" else errors[errors["kind"] == kind]
        cells: list[object] = [f"RMSE (mV), {kind}"]
        for name in methods:
            sums = part[part["method"] == name][["record", "squares", "n"]]
            cells.append(draws.ratio(sums, lambda s: np.sqrt(s[:, 0] / s[:, 1])))
        rows.append(cells)
    own = errors[errors["method"] == REPAIRED]
    blank: list[object] = ["-"] * len(methods)
    place = 1 + methods.index(REPAIRED)
    band = own.assign(n_all=own["n_denoised"] + own["n_restored"], in_all=own["in_denoised"] + own["in_restored"])
    values = [
        (f"coverage of the 90 % band, {kind} (%)", band[["record", f"in_{kind}", f"n_{kind}"]])
        for kind in ("all", "denoised", "restored")
    ]
    lines = [(label, draws.ratio(sums, lambda s: 100 * s[:, 0] / s[:, 1])) for label, sums in values]
    found = band[["record", "n_all", "n"]]
    lines.append(
        ("share of the damaged samples that was repaired (%)", draws.ratio(found, lambda s: 100 * s[:, 0] / s[:, 1]))
    )
    missing = draws.ratio(own[["record", "missing", "n"]], lambda s: 100 * s[:, 0] / (s[:, 0] + s[:, 1]))
    for label, value in (*lines, ("left missing (%)", missing)):
        cells = [label, *blank]
        cells[place] = value
        rows.append(cells)
    cells = ["RMSE below this method's (%)", *blank]
    wide = errors.pivot_table(index="record", columns="method", values=["squares", "n"], aggfunc="sum")
    for name in methods:
        if name != REPAIRED:
            sums = pd.DataFrame({"own": wide["squares", REPAIRED], "other": wide["squares", name]})
            cells[1 + methods.index(name)] = draws.ratio(
                sums.reset_index(), lambda s: 100 * (1 - np.sqrt(s[:, 0] / s[:, 1]))
            )
    return pd.DataFrame([*rows, cells], columns=["", *methods])


def wave_table(waves: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Sums up waves over records: F1 and mean error in ms of each wave by each method."""
    methods = list(dict.fromkeys(waves["method"]))
    rows = []
    for wave in dict.fromkeys(waves["wave"]):
        part = waves[waves["wave"] == wave]
        label = {"QRS": "R peak"}.get(wave, wave)
        for what, columns, function in (
            (f"{label}, F1", ["matched", "true", "found"], lambda s: 2 * s[:, 0] / (s[:, 1] + s[:, 2])),
            (f"{label}, error (ms)", ["error_ms", "matched"], lambda s: s[:, 0] / s[:, 1]),
        ):
            cells: list[object] = [what]
            cells += [draws.ratio(part[part["method"] == name][["record", *columns]], function) for name in methods]
            rows.append(cells)
    return pd.DataFrame(rows, columns=["", *methods])


def _cell(cell: object) -> str:
    assert isinstance(cell, Interval)
    return format_interval(cell, 1 if abs(cell.estimate) >= 2 else 3)


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Lays a table of intervals out: a row a cell."""
    rows = []
    for row in table.to_dict("records"):
        label = row.pop("")
        for method, cell in row.items():
            if isinstance(cell, Interval):
                rows.append((label, method, cell.estimate, cell.lower, cell.upper))
    return pd.DataFrame(rows, columns=["metric", "method", "value", "lower", "upper"])
