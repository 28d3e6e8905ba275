"""The report on a reproduction: its tables as files, and one page of all tables, pictures, commands and times."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from einthoven.report.page import HtmlPage
from einthoven.report.tables import markdown_table
from einthoven.run.files import write_text
from einthoven.run.run_folder import PROVENANCE, RunFolder, code_commit
from evaluation.reproduction.plan import TABLES, Plan, Section
from evaluation.reproduction.stages import Stage
from evaluation.reproduction.tables import Grid, write_tables

PAGE = "index.html"
TEXT = "results.md"
STAGES = ("stage", "seconds", "machine", "code", "command")
N_SHOWN = 4
"""Pictures of a section that are shown at once; the others are a click away."""

SMOKE = "Tiny networks, simulated data: the numbers mean nothing."
"""What a reproduction on simulated records is."""

_NOTE = (
    "95 % bootstrap intervals over records are in brackets. Reconstructions and denoised ECGs are compared on the "
    "records that all methods of a table have. What papers report was measured on other records or by other rules: it "
    "stands beside, not against. The tables are also in tables/, as Markdown, CSV and LaTeX."
)


def write_report(plan: Plan, outcome: Mapping[str, str], seconds: float) -> list[Path]:
    """Writes `tables/<table>.md`, `.csv` and `.tex` of what there is, all of it as `results.md`, and `index.html`.

    The outcome is what came of each stage that this call was about. Returns the files written, the page last.
    """
    folder = plan.root / "tables"
    written = write_tables(plan, folder)
    page = HtmlPage(f"Einthoven: the papers' tables, size {plan.settings['name']}")
    page.paragraph(f"{_NOTE} Code: commit {code_commit() or 'unknown'}. The last call took {seconds:.0f} s.")
    if plan.settings["simulated_records"]:
        page.banner(SMOKE)
    failed = [name for name, what in outcome.items() if what not in ("done", "kept")]
    if failed:
        page.paragraph(f"Not everything ended well: {', '.join(failed)}. See the logs in {plan.root / 'stages'}.")
    for table, grids in written.items():
        page.heading(TABLES[table])
        _show_table(page, plan, grids)
    page.heading("Commands, seconds, hardware")
    rows = _stage_rows(plan, written)
    page.table(STAGES, rows, code=STAGES.index("command"))
    page.write(plan.root / PAGE)
    texts = [(folder / f"{table}.md").read_text(encoding="utf-8") for table in written]
    warning = [f"**{SMOKE}**\n"] if plan.settings["simulated_records"] else []
    write_text(
        plan.root / TEXT, "\n".join([*warning, *texts, "# Commands, seconds, hardware\n", markdown_table(STAGES, rows)])
    )
    files = [folder / f"{table}.{suffix}" for table in written for suffix in ("md", "csv", "tex")]
    return [*files, plan.root / TEXT, plan.root / PAGE]


def _show_table(page: HtmlPage, plan: Plan, grids: Sequence[Grid]) -> None:
    """Adds the grids of a table, each section's pictures after its last grid."""
    for place, grid in enumerate(grids):
        page.heading(grid.headline, level=3)
        page.table(grid.header, grid.rows)
        is_last = place + 1 == len(grids) or grids[place + 1].section is not grid.section
        if grid.section is not None and is_last:
            files = _pictures(plan, grid.section)
            page.pictures(files[:N_SHOWN])
            page.pictures(files[N_SHOWN:], f"{len(files) - N_SHOWN} more pictures")


def _pictures(plan: Plan, section: Section) -> list[tuple[Path, str]]:
    """Returns the pictures of a section's run folders, with their names."""
    folders = [(plan.folder(name), pattern) for name in section.stages.values() for pattern in section.pictures]
    found = [(path, path.relative_to(folder)) for folder, pattern in folders for path in sorted(folder.glob(pattern))]
    return [(path, name.with_suffix("").as_posix()) for path, name in found]


def _stage_rows(plan: Plan, written: Mapping[str, Sequence[Grid]]) -> list[list[str]]:
    """Lists how each stage that a table was made of was run."""
    sections = [grid.section for grids in written.values() for grid in grids if grid.section]
    stages = plan.with_needed([name for section in sections for name in section.stages.values()])
    return [_stage_row(stage) for stage in stages if stage.record()]


def _stage_row(stage: Stage) -> list[str]:
    record, has_run = stage.record(), (stage.folder / PROVENANCE).is_file()
    commit = RunFolder.open(stage.folder).provenance().get("commit") if has_run else None
    return [stage.name, f"{record['seconds']:.1f}", record["machine"], str(commit or "-")[:9], record["command"]]
