"""The notebooks of docs/: their outputs are stored, small, and still what the code makes."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
WORDS = {
    "noise_quantification": ("12 leads, 10 s at 500 Hz", "(1, 1, 32, 256)", "20-24 s", "flat"),
    "reconstruction_and_repair": ("mean absolute error (mV)", "Repair: 12 leads", "denoised"),
}

FEWER = """
import einthoven, functools
for name in ("reconstruct", "repair"):
    call = getattr(einthoven, name)
    setattr(einthoven, name, functools.partial(getattr(call, "func", call), n_samples=2))
del einthoven, functools, name, call
"""
"""Code that goes before a notebook's own."""


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    return [sorted(output.get("data", {})) for output in outputs_of(notebook) if output.output_type != "stream"]


def texts(notebook: nbformat.NotebookNode) -> str:
    return "".join(output.get("data", {}).get("text/plain", "") for output in outputs_of(notebook))


def test_both_notebooks_are_there():
    assert {path.stem for path in NOTEBOOKS} == set(WORDS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert path.stat().st_size < 600_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type in ("error", "stream") for output in outputs_of(notebook))
    assert sum("image/png" in kind for kind in kinds(notebook)) >= 3
    assert all(word in texts(notebook) for word in WORDS[path.stem])
    assert not re.search(r"/(home|root|work|Users|tmp)/", path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def fresh() -> dict[str, nbformat.NotebookNode]:
    """The notebooks by name, run anew in one kernel, each in a name space of its own, with fewer samples."""
    read = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
    joined = nbformat.v4.new_notebook()
    for notebook in read.values():
        joined.cells += [nbformat.v4.new_code_cell(code) for code in ("%reset -f", FEWER)] + notebook.cells
    where = {"metadata": {"path": ROOT / "docs"}}
    NotebookClient(joined, timeout=600, kernel_name="python3", resources=where).execute()
    return read


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_makes_what_it_shows(path: Path, fresh):
    stored, fresh = nbformat.read(path, as_version=4), fresh[path.stem]
    assert not any(output.output_type == "error" for output in outputs_of(fresh))
    assert kinds(fresh) == kinds(stored)
    assert all(word in texts(fresh) for word in WORDS[path.stem])
