"""The report of a repair in one file: a page that needs no other file and no network, or a PDF."""

import io
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from einthoven.ecg.measures.measuring import measure
from einthoven.ecg.measures.result import HEADER as MEASURES_HEADER
from einthoven.report.page import HtmlPage
from einthoven.run.files import atomic_write
from reconstruction.repairs.figures import PAGE_S, draw_before, draw_repair, draw_scores
from reconstruction.repairs.result import CAUTION, KINDS, LEFT_MISSING, Repair

MAX_PAGES = 6
"""Most pages of ten seconds that are drawn: those where most was changed."""
MAX_ROWS = 200
HEADER = ("lead", "from (s)", "to (s)", "what was done", "why", "noise (mV)", "score before", "after", "90 % band (mV)")
_LEVELS = (("noise_mv", 3), ("score_before", 1), ("score_after", 1), ("band_mv", 3))
ROWS_PER_SHEET = 42
LINES_PER_SHEET = 40
DPI = 110


def write_report(repair: Repair, path: Path) -> Path:
    """Writes the report of a repair as a page (.html) or a document (.pdf); ValueError for another suffix."""
    writers = {".html": _write_page, ".pdf": _write_pdf}
    if path.suffix.lower() not in writers:
        raise ValueError(f"{path.name} is no report: name it .html or .pdf")
    writers[path.suffix.lower()](repair, path)
    return path


def pages_to_draw(repair: Repair) -> list[float]:
    """Chooses the pages of ten seconds, by their starts in s, where most was changed; the first where nothing was."""
    size = round(PAGE_S * repair.recording.sampling_rate)
    changed = (repair.done > 0).sum(axis=0)
    counts = np.array([changed[start : start + size].sum() for start in range(0, len(changed), size)])
    most = [int(page) for page in np.argsort(-counts, kind="stable")[:MAX_PAGES] if counts[page] or page == 0]
    return [page * PAGE_S for page in sorted(most)]


def action_rows(actions: pd.DataFrame) -> list[list[str]]:
    """Writes the table of actions for people."""

    def number(value: float, digits: int) -> str:
        return f"{value:.{digits}f}" if np.isfinite(value) else "-"

    rows = []
    for row in actions.to_dict("records"):
        levels = [number(row[name], digits) for name, digits in _LEVELS]
        rows.append(
            [row["lead"], number(row["start_s"], 2), number(row["end_s"], 2), row["kind"], row["reason"], *levels]
        )
    return rows


def distrust(repair: Repair) -> list[str]:
    """Says what of the repaired recording is not to be trusted."""
    lines = [note for note in repair.notes if note not in repair.before.notes and note != CAUTION]
    left = repair.actions[repair.actions["kind"] == KINDS[LEFT_MISSING]]
    if len(left):
        leads = ", ".join(dict.fromkeys(left["lead"]))
        lines.append(f"could not be restored, and is left empty, in part or throughout: {leads}")
    return lines or ["nothing was changed"]


def _write_page(repair: Repair, path: Path) -> None:
    page = HtmlPage(f"Repair of {repair.recording.name or 'a recording'}")
    page.paragraph(CAUTION)
    for line in repair.summary():
        page.paragraph(line)
    with TemporaryDirectory() as folder:
        for number, (heading, caption, figure) in enumerate(_figures(repair)):
            if heading:
                page.heading(heading)
            file = Path(folder) / f"{number}.png"
            figure.savefig(file, dpi=DPI)
            page.pictures([(file, caption)])
    page.heading("Measures")
    try:
        measures = measure(repair)
        page.table(MEASURES_HEADER, measures.rows())
    except ValueError as error:
        page.paragraph(f"not measured: {error}")
    page.heading("What was done")
    rows = action_rows(repair.actions)
    page.table(HEADER, rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        page.paragraph(f"{len(rows) - MAX_ROWS} more rows are in actions.csv.")
    page.heading("What not to trust")
    for line in distrust(repair):
        page.paragraph(line)
    page.heading("Notes of the recording")
    for note in repair.before.notes or ("none",):
        page.paragraph(note)
    page.write(path)


def _write_pdf(repair: Repair, path: Path) -> None:
    content = io.BytesIO()
    facts = {"Title": f"Repair of {repair.recording.name or 'a recording'}", "CreationDate": None, "Creator": None}
    with PdfPages(content, metadata=facts) as document:
        lines = [CAUTION, "", *repair.summary(), "", "What not to trust:", *distrust(repair)]
        lines += ["", "Notes of the recording:", *(repair.before.notes or ("none",))]
        for sheet in _text_sheets(lines):
            document.savefig(sheet)
        for _, _, figure in _figures(repair):
            document.savefig(figure)
        rows = action_rows(repair.actions)[:MAX_ROWS]
        for first in range(0, len(rows), ROWS_PER_SHEET):
            document.savefig(_table_sheet(rows[first : first + ROWS_PER_SHEET]))
    with atomic_write(path) as partial:
        partial.write_bytes(content.getvalue())


def _figures(repair: Repair) -> Iterator[tuple[str, str, Figure]]:
    """Draws all pictures: the heading before, the caption, the figure."""
    for number, start in enumerate(pages_to_draw(repair)):
        span = f"{start:g} to {min(start + PAGE_S, repair.duration):g} s"
        after = f"{span}, after: black was measured and kept, blue was repaired and never measured, with its 90 % band"
        yield "Before and after" if number == 0 else "", f"{span}, as it was", draw_before(repair, start)
        yield "", after, draw_repair(repair, start)
    if np.isfinite(repair.findings.score).any():
        yield "Noise", "noise score of each lead, second by second", draw_scores(repair)


def _text_sheets(lines: list[str]) -> Iterator[Figure]:
    wrapped = [part for line in lines for part in textwrap.wrap(line, 130) or [""]]
    for first in range(0, len(wrapped), LINES_PER_SHEET):
        figure = Figure(figsize=(11.7, 8.3))
        FigureCanvasAgg(figure)
        figure.text(0.05, 0.95, "\n".join(wrapped[first : first + LINES_PER_SHEET]), va="top", fontsize=10)
        yield figure


def _table_sheet(rows: list[list[str]]) -> Figure:
    figure = Figure(figsize=(11.7, 8.3))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.03, 0.03, 0.94, 0.94))
    axes.set_axis_off()
    widths = [0.05, 0.07, 0.07, 0.13, 0.36, 0.08, 0.09, 0.07, 0.1]
    table = axes.table(
        [[cell[:60] for cell in row] for row in rows], colLabels=HEADER, colWidths=widths, loc="upper left"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    return figure
