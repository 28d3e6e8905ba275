"""What `make docs` adds to the pages of docs/: README.md as the start, files that pages link to, and notebooks.

Pages are written for GitHub, with links relative to the file. A link to a file outside docs/ leads to its copy in the
site, below `repository/`; one to a notebook to the page that is made of it.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages outside docs/ that the site has even where no page links to them."""
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/, and a page for each notebook."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            text = _as_markdown(file.content_string)
            files.append(File.generated(config, _place(f"docs/{file.src_uri}"), content=text))
    linked = [target for page in [*PAGES, *(ROOT / "docs").glob("*.md")] for target in _targets(ROOT / page)]
    for path in dict.fromkeys([*PAGES, *linked]):
        if not path.startswith("docs/") and (ROOT / path).is_file():
            files.append(File.generated(config, _place(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns a page's links, which are relative to its file in the repository, into those of the site."""
    here = page.file.src_uri
    path = "README.md" if here == "index.md" else here.removeprefix("repository/")
    folder = posixpath.dirname(path if here != path or here == "index.md" else f"docs/{path}")

    def place(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        return posixpath.relpath(_place(target), posixpath.dirname(here) or ".")

    return _LINK.sub(place, markdown)


def _place(path: str) -> str:
    """Returns the place in the site, as a source, of a file of the repository."""
    if path == "README.md":
        return "index.md"
    inside = path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"
    return re.sub(r"\.ipynb$", ".md", inside)


def _targets(page: Path) -> list[str]:
    """Lists the files of the repository that a page links to."""
    folder = page.parent.relative_to(ROOT).as_posix()
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    return [posixpath.normpath(posixpath.join(folder, link)) for link in links]


def _as_markdown(notebook: str) -> str:
    """Writes a notebook's text, code and stored outputs as Markdown."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            parts.extend(_output(output))
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> Iterator[str]:
    """Writes an output of a cell: a picture where there is one, else a table, else text."""
    data = output.get("data", {})
    if "image/png" in data:
        image = "".join(data["image/png"]).replace("\n", "")
        yield f'<img alt="" src="data:image/png;base64,{image}">'
    elif "text/html" in data:
        yield "".join(data["text/html"])
    elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
        yield f"```text\n{text}\n```"
