"""The report on noise scores: how well each method tells clean from noisy, as tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from einthoven.report.tables import format_interval, markdown_table, write_csv
from einthoven.run.files import write_text
from einthoven.statistics import Interval
from evaluation.noise.comparisons import (
    ALL_RECORDS,
    CHECKS,
    CINC2011_SET,
    FOLD_9,
    MIXTURE_SETS,
    PTBXL_SETS,
    USABLE_RECORDS,
    compare_cinc2011,
    compare_mixtures,
    compare_ptbxl,
)
from evaluation.noise.discrimination import DOSE_STATISTICS, MACRO
from evaluation.noise.figures import draw_dose_response, draw_histograms
from evaluation.noise.runs import (
    CINC2011,
    FITTED,
    MIXTURES,
    NOISE_TYPES,
    PTBXL,
    ScoredLeads,
    join_source,
    open_runs,
)

W1_NOTE = "W1 is never negative: with few leads its draws, and so its intervals, lie above its estimate"


@dataclass(frozen=True)
class NoiseReport:
    """What an evaluation found.

    Attributes:
        table: One row per set of leads, method, metric and group (noise type or kind of records): `value`, its 95 %
            interval `lower` and `upper`, and the numbers of clean, noisy and unusable leads, or records on CinC 2011.
        rules: On CinC 2011, AUROC of each way to combine leads on the half "fit".
        markdown: The tables for people, with the notes.
    """

    table: pd.DataFrame
    rules: pd.DataFrame
    markdown: str


def evaluate_noise_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    metric: str = "psnr",
    names: Sequence[str] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> NoiseReport:
    """Evaluates run folders of `noise_quant.score_noise`, of any of PTB-XL, CinC 2011 and mixtures, and any methods.

    Writes `table.csv`, `rules.csv`, `table.md`, and pictures: `ptbxl_<leads>.png` and `cinc2011.png`, histograms, and
    `mixtures_<split>.png`, scores against the signal-to-noise ratio.

    Args:
        paths: Run folders.
        folder: Where to write.
        metric: By what models score: psnr, ssim, mse or mae.
        names: Names of the methods, one per folder; by default told from the runs' configs.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.

    Returns:
        The report.

    Raises:
        ValueError: If a folder is not fit to be evaluated, or the runs share no leads.
    """
    runs = open_runs(paths, metric, names)
    folder = Path(folder)
    draws = (n_resamples, seed)
    notes = [f"models score by {metric}; higher is cleaner; in brackets 95 % bootstrap intervals over records"]
    tables, rules = [], pd.DataFrame()
    for source in (PTBXL, CINC2011, MIXTURES):
        scored = join_source(runs, source)
        if scored is None:
            continue
        notes += scored.notes
        if source == PTBXL:
            tables += [_ptbxl(scored, folder, name, draws) for name in PTBXL_SETS]
        elif source == MIXTURES:
            tables += [_mixtures(scored, folder, split, draws) for split in MIXTURE_SETS]
        else:
            found, rules, pictures = compare_cinc2011(scored, *draws)
            if pictures:
                draw_histograms(folder / "cinc2011.png", pictures, CINC2011_SET, ("acceptable", "unacceptable"))
            tables.append(found)
    tables = [table for table in tables if len(table)]
    if not tables:
        raise ValueError("nothing to compare: the runs hold no clean leads of fold 10 or 9 that are not trained on")
    report = NoiseReport(pd.concat(tables, ignore_index=True), rules, "")
    markdown = _markdown(report, notes)
    write_csv(report.table, folder / "table.csv")
    write_csv(rules, folder / "rules.csv")
    write_text(folder / "table.md", markdown)
    return NoiseReport(report.table, rules, markdown)


def _ptbxl(scored: ScoredLeads, folder: Path, name: str, draws: tuple[int, int]) -> pd.DataFrame:
    table, pictures = compare_ptbxl(scored, name, *draws)
    if pictures:
        draw_histograms(folder / f"ptbxl_{name.replace(' ', '_')}.png", pictures, PTBXL_SETS[name], ("clean", "noisy"))
    return table


def _mixtures(scored: ScoredLeads, folder: Path, split: str, draws: tuple[int, int]) -> pd.DataFrame:
    table, curves = compare_mixtures(scored, split, *draws)
    if curves:
        draw_dose_response(folder / f"mixtures_{split}.png", curves, MIXTURE_SETS[split])
    return table


def _markdown(report: NoiseReport, notes: Sequence[str]) -> str:
    """Writes a section for each set that was compared."""
    table = report.table
    sections = []
    for name, title in PTBXL_SETS.items():
        part = table[table["set"] == name]
        if len(part):
            told = [
                _sizes(part),
                "unusable leads score lowest in AUROC, and are left out of W1",
                _largest_w1(part),
                W1_NOTE,
            ]
            if FITTED in set(part["method"]) and name != FOLD_9:
                told.append(f"{FITTED}: on noisy and clean leads of fold 9, which its own row leaves out")
            sections += [f"## {title}\n", _grid(part, "auroc", "AUROC"), _grid(part, "w1", "W1"), *_bullets(told)]
    part = table[table["set"] == CINC2011_SET]
    if len(part):
        sections += ["## CinC 2011: acceptable against unacceptable records of the half test\n", _cinc2011(report)]
        sections += _bullets(
            [f"{_record_counts(part)}", "leads combine as did best on the half fit (rules.csv has all)"]
        )
    for title in MIXTURE_SETS.values():
        part = table[table["set"] == title]
        if len(part):
            sections.append(f"## {title[0].upper()}{title[1:]}: Spearman's correlation of SNR and score\n")
            sections += [_grid(part, name, name) for name in DOSE_STATISTICS]
            sections += _bullets([f"{int(part['n_clean'].max())} leads; unusable ones rank lowest within a lead"])
    return "\n".join([*sections, "## Notes\n", *_bullets(notes)])


def _bullets(lines: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {line}" for line in lines if line) + "\n"]


def _grid(part: pd.DataFrame, metric: str, title: str) -> str:
    """Writes one metric as a row a method, a column a group."""
    rows = part[part["metric"] == metric]
    found = [group for group in (*NOISE_TYPES, MACRO) if group in set(rows["group"])]
    groups = found or list(dict.fromkeys(rows["group"]))
    cells = [[method, *(_cell(rows, str(method), group) for group in groups)] for method in rows["method"].unique()]
    return markdown_table([title, *groups], cells)


def _cell(rows: pd.DataFrame, method: str, group: str) -> str:
    chosen = rows[(rows["method"] == method) & (rows["group"] == group)]
    if chosen.empty:
        return "-"
    row = chosen.iloc[0]
    return format_interval(Interval(float(row["value"]), float(row["lower"]), float(row["upper"])), 3)


def _sizes(part: pd.DataFrame) -> str:
    """Says how many leads were compared: of the methods with most, as only a fitted one leaves some out."""
    rows = part[(part["metric"] == "auroc") & (part["group"] != MACRO)].drop_duplicates("group")
    noisy = ", ".join(f"{row.group} {row.n_noisy}" for row in rows.itertuples())
    return f"clean leads: {rows['n_clean'].iloc[0]}; noisy leads: {noisy}"


def _largest_w1(part: pd.DataFrame) -> str:
    rows = part[part["metric"] == "largest w1"].drop_duplicates("group")
    bounds = ", ".join(f"{row.group} {row.value:.2f}" for row in rows.itertuples())
    return f"largest W1 that these numbers of leads allow: {bounds}"


def _cinc2011(report: NoiseReport) -> str:
    rows = report.table[report.table["set"] == CINC2011_SET]
    chosen = report.rules[report.rules["chosen"]].set_index("method")
    cells = []
    for method in rows["method"].unique():
        way = chosen.loc[method]
        told = way["unusable"] if method == CHECKS else f"{way['rule']}, {way['unusable']}"
        cells.append([method, told, f"{way['fit']:.3f}"])
        cells[-1] += [_cell(rows, method, group) for group in (ALL_RECORDS, USABLE_RECORDS)]
    return markdown_table(["AUROC", "leads combine by", "half fit", "half test", USABLE_RECORDS], cells)


def _record_counts(part: pd.DataFrame) -> str:
    counts = part[part["method"] == part["method"].iloc[0]].set_index("group")
    told = [
        f"{group}: {counts.loc[group, 'n_clean']} acceptable, {counts.loc[group, 'n_noisy']} unacceptable"
        for group in (ALL_RECORDS, USABLE_RECORDS)
        if group in counts.index
    ]
    return "half test, " + "; ".join(told)
