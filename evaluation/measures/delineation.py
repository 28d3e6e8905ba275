"""How near delineators come to cardiologists: bias and spread of each mark, lead by lead and over leads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.report.tables import markdown_table, write_parquet
from einthoven.run.progress import track
from einthoven.run.registry import check_choice
from evaluation.measures.delineators import DELINEATORS, OURS
from evaluation.measures.ludb import COLUMNS, MARKS, beats_of, halves, over_leads, read_ecg, read_marks, record_names
from evaluation.report import Report, bullets

CSE_MS = {"P on": 10.2, "P off": 12.7, "QRS on": 6.5, "QRS off": 11.6, "T off": 30.6}
"""Standard deviations in ms that the CSE Working Party accepts (Eur. Heart J. 6, 815, 1985; the two-sigma limits as in
Martinez et al., IEEE Trans. Biomed. Eng. 51, 570, 2004)."""
MATCH_MS = 150.0
PARTS = "parts"
STATISTICS = ["method", "half", "of", "mark", "n", "found", "bias_ms", "sd_ms"]


def evaluate_delineators(folder: Path, ludb_path: str, methods: Sequence[str], n_records: int | None) -> Report:
    """Delineates the records of LUDB by each method, and compares the marks; arguments as in the script's config.

    Writes `table.csv`, `table.md`, and the marks of each method into `parts`, which a run that is taken up again reads.
    """
    for method in methods:
        check_choice("method", method, list(DELINEATORS))
    root = Path(ludb_path)
    names = record_names(root)[:n_records]
    truth, notes, tables = read_marks(root, names), [], []
    for method in methods:
        part = folder / PARTS / f"{method.replace(' ', '_')}.parquet"
        try:
            marks = pd.read_parquet(part) if part.is_file() else _delineate(root, names, method)
        except ImportError as error:
            notes.append(f"{method} is left out: {error.name or error} is not installed")
            continue
        part.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(marks, part)
        tables += [compare(marks, truth, half).assign(method=method, half=name) for name, half in halves(names).items()]
    if not tables:
        raise ValueError(f"nothing to compare: {'; '.join(notes)}")
    table = pd.concat(tables, ignore_index=True)[STATISTICS]
    return Report({"table.csv": table}, _markdown(table, methods, len(halves(names)["report"]), notes)).write(folder)


def _delineate(root: Path, names: list[str], method: str) -> pd.DataFrame:
    rows = []
    for name in track(names, "record", method):
        rows += [(name, *mark) for mark in DELINEATORS[method](read_ecg(root, name)) if np.isfinite(mark[2])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compare(marks: pd.DataFrame, truth: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Compares marks with true ones in some records, in the columns `STATISTICS` but method and half.

    "leads": each mark of each lead with the nearest found one in that lead; "over leads": the median over leads of each
    beat's marks with that of the found ones, or with the one found for all leads together.
    """
    errors: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    counts: dict[tuple[str, str], int] = {}
    of_record, of_truth = dict(list(marks.groupby("record"))), dict(list(truth.groupby("record")))
    for name in names:
        mine, theirs = of_record.get(name, marks[:0]), of_truth[name]
        pairs = [("leads", mark, *both) for mark in MARKS for both in _lead_pairs(mine, theirs, mark)]
        beats = beats_of(theirs)
        joint = mine[mine["lead"] == ""]
        found, wanted = over_leads(joint if len(joint) else mine, beats, 1), over_leads(theirs, beats)
        for mark in MARKS:
            keys = [key for key in wanted.index if key[1] == mark]
            pairs.append(("over leads", mark, found.reindex(keys).to_numpy(), wanted[keys].to_numpy()))
        for of, mark, places, true in pairs:
            difference = places - true
            errors.setdefault((of, mark), []).append(difference[np.abs(difference) <= MATCH_MS])
            counts[of, mark] = counts.get((of, mark), 0) + len(true)
    rows = []
    for (of, mark), parts in errors.items():
        error, n = np.concatenate(parts), counts[of, mark]
        spread = (float(error.mean()), float(error.std(ddof=1))) if len(error) > 1 else (np.nan, np.nan)
        rows.append((of, mark, n, 100.0 * len(error) / n if n else np.nan, *spread))
    return pd.DataFrame(rows, columns=STATISTICS[2:])


def _lead_pairs(
    mine: pd.DataFrame, theirs: pd.DataFrame, mark: str
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Returns, lead by lead, the found times nearest to the true ones, NaN without any, and the true ones, in ms."""
    pairs = []
    by_lead = {lead: part["time_ms"].to_numpy() for lead, part in mine[mine["mark"] == mark].groupby("lead")}
    for lead, part in theirs[theirs["mark"] == mark].groupby("lead"):
        true = part["time_ms"].to_numpy()
        found = by_lead.get(lead, np.empty(0))
        nearest = found[np.abs(found[:, None] - true).argmin(axis=0)] if len(found) else np.full(len(true), np.nan)
        pairs.append((nearest, true))
    return pairs


def _markdown(table: pd.DataFrame, methods: Sequence[str], n_records: int, notes: list[str]) -> str:
    text = []
    shown = [method for method in methods if method in set(table["method"])]
    for of in ("over leads", "leads"):
        part = table[(table["half"] == "report") & (table["of"] == of)].set_index(["method", "mark"])
        rows = []
        for mark in MARKS:
            cells = [
                _cell(*part.loc[(method, mark), ["bias_ms", "sd_ms", "found"]].to_numpy(float)) for method in shown
            ]
            if set(cells) != {"-"}:
                rows.append([mark, f"{CSE_MS[mark]:g}" if mark in CSE_MS else "-", *cells])
        text += [f"## Marks {of if of == 'over leads' else 'of single leads'}", ""]
        text.append(markdown_table(["bias ± SD in ms (found, %)", "CSE", *shown], rows))
    about = (
        f"{n_records} records of LUDB, every other one; {OURS} and its constants were chosen on the others",
        "CSE: the standard deviation that the CSE Working Party accepts",
        "openecg's network was trained on records of LUDB: its numbers flatter it" if "openecg" in shown else "",
    )
    return "\n".join([*text, bullets([*about, *notes])])


def _cell(bias_ms: float, sd_ms: float, found: float) -> str:
    return f"{bias_ms:+.1f} ± {sd_ms:.1f} ({found:.0f})" if np.isfinite(sd_ms) else "-"
