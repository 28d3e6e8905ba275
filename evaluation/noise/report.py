"""The report on noise scores: how well each method tells clean from noisy, as tables and pictures."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from einthoven.report.tables import markdown_table
from evaluation.noise.comparisons import (
    ALL_RECORDS,
    CHECKS,
    CINC2011_SET,
    FOLD_9,
    MIXTURE_SETS,
    PTBXL_SETS,
    TEST,
    USABLE_RECORDS,
    compare_cinc2011,
    compare_mixtures,
    compare_ptbxl,
)
from evaluation.noise.discrimination import DOSE_STATISTICS, MACRO, METRICS
from evaluation.noise.figures import draw_dose_response, draw_histograms
from evaluation.noise.runs import (
    CINC2011,
    FITTED,
    KIND,
    MIXTURES,
    NOISE_TYPES,
    NOISY,
    PTBXL,
    ScoredLeads,
    join_source,
    open_files,
    open_runs,
)
from evaluation.report import Report, bullets, result_cell

W1_NOTE = "W1 is never negative: with few leads its draws, and so its intervals, lie above its estimate"


def evaluate_noise_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    metric: str = "psnr",
    names: Sequence[str] | None = None,
    files: Sequence[Path | str] = (),
    n_resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Evaluates run folders of `noise_quant.score_noise`, of any of PTB-XL, CinC 2011 and mixtures, and any methods.

    Writes `table.csv` (per set of leads, method, metric and group, a noise type or kind of records: `value`, its 95 %
    interval `lower` and `upper`, and the numbers of clean, noisy and unusable leads, or records on CinC 2011),
    `rules.csv` (on CinC 2011, AUROC of each way to combine leads on the half "fit"), `table.md`, and pictures:
    `ptbxl_<leads>.png` and `cinc2011.png`, histograms, and `mixtures_<split>.png`, scores against the
    signal-to-noise ratio.

    Args:
        paths: Run folders, which share leads.
        folder: Where to write.
        metric: By what models score: psnr, ssim, mse or mae.
        names: Names of the methods, one per folder; by default from the runs' configs.
        files: Scores of other methods: see `open_files`.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.
    """
    runs, others = open_runs(paths, metric, names), open_files(files)
    folder = Path(folder)
    draws = (n_resamples, seed)
    notes = [f"models score by {metric}; higher is cleaner; in brackets 95 % bootstrap intervals over records"]
    tables, rules = [], pd.DataFrame()
    joined = {source: join_source(runs, source, others) for source in (PTBXL, CINC2011, MIXTURES)}
    notes += [note for scored in joined.values() if scored for note in scored.notes]
    if scored := joined[PTBXL]:
        tables += [_ptbxl(scored, folder, name, draws) for name in PTBXL_SETS]
    if scored := joined[CINC2011]:
        found, rules, pictures = compare_cinc2011(scored, *draws)
        if pictures:
            draw_histograms(folder / "cinc2011.png", pictures, CINC2011_SET, ("acceptable", "unacceptable"))
        tables.append(found)
    if scored := joined[MIXTURES]:
        tables += [_mixtures(scored, folder, split, draws) for split in MIXTURE_SETS]
    tables = [table for table in tables if len(table)]
    if not tables:
        raise ValueError("nothing to compare: the runs hold no clean leads of fold 10 or 9 that are not trained on")
    table = pd.concat(tables, ignore_index=True)
    return Report({"table.csv": table, "rules.csv": rules}, _markdown(table, rules, notes)).write(folder)


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


def _markdown(table: pd.DataFrame, rules: pd.DataFrame, notes: Sequence[str]) -> str:
    """Writes a section for each set that was compared."""
    parts = {str(name): part for name, part in table.groupby("set")}
    sections = []
    for name, title in PTBXL_SETS.items():
        if name in parts:
            part = parts[name]
            remarks = [
                _sizes(part),
                "unusable leads score lowest in AUROC, and are left out of W1",
                _largest_w1(part),
                W1_NOTE,
            ]
            if FITTED in set(part["method"]) and name != FOLD_9:
                remarks.append(f"{FITTED}: on noisy and clean leads of fold 9, which its own row leaves out")
            if any(str(method).endswith(KIND) for method in part["method"]) and name == TEST:
                remarks.append(f"*{NOISY}, *{KIND}: noisy leads of folds 1-8, on which they were fitted, are left out")
            sections += [f"## {title}\n", *(_grid(part, name, name.upper()) for name in METRICS), bullets(remarks)]
    if CINC2011_SET in parts:
        part = parts[CINC2011_SET]
        sections += ["## CinC 2011: acceptable against unacceptable records of the half test\n", _cinc2011(part, rules)]
        sections.append(
            bullets([_record_counts(part), "leads combine as did best on the half fit (rules.csv has all)"])
        )
    for title in MIXTURE_SETS.values():
        if title in parts:
            part = parts[title]
            sections.append(f"## {title[0].upper()}{title[1:]}: Spearman's correlation of SNR and score\n")
            sections += [_grid(part, name, name) for name in DOSE_STATISTICS]
            sections.append(bullets([f"{int(part['n_clean'].max())} leads; unusable ones rank lowest within a lead"]))
    return "\n".join([*sections, "## Notes\n", bullets(notes)])


def _grid(part: pd.DataFrame, metric: str, title: str) -> str:
    """Writes one metric as a row a method, a column a group."""
    rows = part[part["metric"] == metric]
    found = [group for group in (*NOISE_TYPES, MACRO) if group in set(rows["group"])]
    groups = found or list(dict.fromkeys(rows["group"]))
    cells = [
        [method, *(result_cell(rows, 3, method=method, group=group) for group in groups)]
        for method in rows["method"].unique()
    ]
    return markdown_table([title, *groups], cells)


def _sizes(part: pd.DataFrame) -> str:
    """Says how many leads were compared: of the methods with most, as only a fitted one leaves some out."""
    rows = part[(part["metric"] == "auroc") & (part["group"] != MACRO)].drop_duplicates("group")
    noisy = ", ".join(f"{row.group} {row.n_noisy}" for row in rows.itertuples())
    return f"clean leads: {rows['n_clean'].iloc[0]}; noisy leads: {noisy}"


def _largest_w1(part: pd.DataFrame) -> str:
    rows = part[part["metric"] == "largest w1"].drop_duplicates("group")
    bounds = ", ".join(f"{row.group} {row.value:.2f}" for row in rows.itertuples())
    return f"largest W1 that these numbers of leads allow: {bounds}"


def _cinc2011(rows: pd.DataFrame, rules: pd.DataFrame) -> str:
    chosen = rules[rules["chosen"]].set_index("method")
    cells = []
    for method in rows["method"].unique():
        way = chosen.loc[method]
        combined = way["unusable"] if method == CHECKS else f"{way['rule']}, {way['unusable']}"
        groups = (result_cell(rows, 3, method=method, group=group) for group in (ALL_RECORDS, USABLE_RECORDS))
        cells.append([method, combined, f"{way['fit']:.3f}", *groups])
    return markdown_table(["AUROC", "leads combine by", "half fit", "half test", USABLE_RECORDS], cells)


def _record_counts(part: pd.DataFrame) -> str:
    counts = part[part["method"] == part["method"].iloc[0]].set_index("group")
    found = [
        f"{group}: {counts.loc[group, 'n_clean']} acceptable, {counts.loc[group, 'n_noisy']} unacceptable"
        for group in (ALL_RECORDS, USABLE_RECORDS)
        if group in counts.index
    ]
    return "half test, " + "; ".join(found)
