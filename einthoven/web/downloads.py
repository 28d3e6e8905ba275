"""The task of making what is downloaded: recordings in each format, reports, sheets of ECG paper, lists.

Names of files, ages, sexes and start times are left out unless they are asked for.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from einthoven.ecg.recording import Recording
from einthoven.ecg.writing import WRITERS, write
from einthoven.web.child import Report
from einthoven.web.stored import load_recording

STEMS = {"repair": "repaired", "reconstruct": "reconstructed", "denoise": "denoised", "correct": "corrected"}
"""What the recording of a result is called, by the kind of its job."""
GIVEN = "recording"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".csv": "text/csv; charset=utf-8",
    ".zip": "application/zip",
}
"""Media types by suffix; of others "application/octet-stream"."""
_SHEETS = ("sheet.png", "sheet.svg")
_RESULTS = ("report.html", "report.pdf", *_SHEETS, "actions.csv")
_DPI = 150


def file_names(kind: str | None) -> list[str]:
    """Lists the files that can be made of a result of a kind of job, or (None) of the recording as it came."""
    stem = GIVEN if kind is None else STEMS[kind]
    recordings = [f"{stem}{suffix}{'.zip' if writer.companion else ''}" for suffix, writer in WRITERS.items()]
    own = _SHEETS if kind in (None, "correct") else _RESULTS
    return [*recordings, *own]


def make_file(
    report: Report,
    folder: str,
    result: str | None,
    name: str,
    target: str,
    look: Mapping[str, Any],
    patient: bool = False,
) -> dict[str, Any]:
    """Makes a file.

    Args:
        report: Told that it begins.
        folder: Folder of the recording.
        result: Folder of a result of it; None: the recording as it came.
        name: One of `file_names`.
        target: Where to write it.
        look: `start`, and, where given, `speed`, `gain` and `layout` of sheets.
        patient: Whether name, age, sex and start time are told.

    Raises:
        ValueError: If it cannot be made.
    """
    report(0.0, 1.0, f"making {name}")
    made: Any = load_recording(folder, anonymous=not patient)
    if result is not None:
        from einthoven.web.results import load_result

        made = load_result(Path(result), Path(folder), anonymous=not patient)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in _SHEETS:
        _sheet(made, look).savefig(path, dpi=_DPI)
    elif name == "report.html" or name == "report.pdf":
        _report(made, path)
    elif name == "actions.csv":
        _actions(made, path)
    else:
        _recording(made if isinstance(made, Recording) else made.recording, name, path)
    return {}


def _recording(recording: Recording, name: str, path: Path) -> None:
    """Writes a recording in the format that a name says; two files come in a zip."""
    stem, _, rest = name.partition(".")
    suffix = f".{rest.removesuffix('.zip')}"
    companion = WRITERS[suffix].companion
    if companion is None:
        write(recording, path)
        return
    with TemporaryDirectory() as folder:
        file = write(recording, Path(folder) / f"{stem}{suffix}")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in (file, file.with_suffix(companion)):
                archive.write(part, part.name)


def _sheet(made: Any, look: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a recording or a result, and a figure)
    """Draws a sheet of ECG paper of a recording or of a result."""
    from reconstruction.repairs.result import Repair

    if not isinstance(made, Repair):
        return made.plot(**look)
    if not set(look) - {"start"}:
        return made.plot(**look)
    from einthoven.report.ecg_paper import draw_ecg
    from reconstruction.repairs.result import HUM_REMOVED, KEPT

    recording = made.recording
    kept = (made.done == KEPT) | (made.done == HUM_REMOVED)
    facts: dict[str, Any] = {"lower": made.lower, "upper": made.upper, "observed": kept, "made": "repaired"}
    return draw_ecg(recording.signal, recording.leads, recording.sampling_rate, **facts, **look)


def _report(made: Any, path: Path) -> None:  # noqa: ANN401 (a result)
    """Writes the report of a result, as a page or a document."""
    from reconstruction.repairs.result import CAUTION, Repair

    if isinstance(made, Repair):
        made.report(path)
        return
    title, facts = made.facts()
    lines = [CAUTION, *(f"{name}: {value}" for name, value in facts.items()), *made.notes]
    if path.suffix == ".pdf":
        _document(title, lines, made, path)
        return
    from einthoven.report.page import HtmlPage

    page = HtmlPage(title)
    for line in lines:
        page.paragraph(line)
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "sheet.png"
        made.plot().savefig(picture, dpi=_DPI)
        page.pictures([(picture, "black was measured, blue was estimated, with its 90 % band")])
    page.write(path)


def _document(title: str, lines: Sequence[str], made: Any, path: Path) -> None:  # noqa: ANN401 (a result)
    import textwrap

    from matplotlib.backends.backend_pdf import PdfPages

    from einthoven.report.figures import new_figure

    content = io.BytesIO()
    text = new_figure(11.7, 8.3)
    wrapped = [part for line in (title, "", *lines) for part in textwrap.wrap(line, 130) or [""]]
    text.text(0.05, 0.95, "\n".join(wrapped[:40]), va="top", fontsize=10)
    with PdfPages(content, metadata={"Title": title, "CreationDate": None, "Creator": None}) as document:
        document.savefig(text)
        document.savefig(made.plot())
    path.write_bytes(content.getvalue())


def _actions(made: Any, path: Path) -> None:  # noqa: ANN401 (a result)
    """Writes the list of what was done."""
    from einthoven.report.tables import write_csv
    from einthoven.web.results import stretches_of
    from reconstruction.repairs.result import Repair

    table = made.actions if isinstance(made, Repair) else pd.DataFrame(stretches_of(made))
    write_csv(table, path)
