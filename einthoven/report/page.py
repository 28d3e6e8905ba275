"""One HTML page that needs no other file and no network: text, tables and pictures, which are written into it."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from einthoven.run.files import write_text

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1d2129; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccd; padding-bottom: .3rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; margin: .6rem 0 1.2rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e2e4ea; text-align: right; vertical-align: top; }
th:first-child, td:first-child, .text th, .text td { text-align: left; } th { border-bottom: 2px solid #889; }
tr:hover td { background: #f3f5fa; } code { font-size: 12px; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figure img { max-width: 100%; } figcaption { color: #556; font-size: 13px; }
.banner { position: sticky; top: 0; z-index: 1; background: #b00020; color: #fff; padding: .5rem 1rem; }
summary { cursor: pointer; color: #335; } nav a { margin-right: 1rem; }
"""


@dataclass
class HtmlPage:
    """A page that grows from top to bottom; headings of level 2 are linked on top."""

    title: str
    parts: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    def heading(self, text: str, level: int = 2) -> None:
        """Adds a heading; those of level 2 are linked from the top."""
        anchor = ""
        if level == 2:
            anchor = f' id="part{len(self.headings)}"'
            self.headings.append(text)
        self.parts.append(f"<h{level}{anchor}>{html.escape(text)}</h{level}>")

    def paragraph(self, text: str) -> None:
        """Adds a paragraph of plain text."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def banner(self, text: str) -> None:
        """Adds a warning that stays in sight while the page is scrolled."""
        self.parts.append(f'<p class="banner" role="alert">{html.escape(text)}</p>')

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], code: int | None = None) -> None:
        """Adds a table of plain text; `code` is the column whose cells are commands, the whole is then aligned left."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        lines = []
        for row in rows:
            cells = [html.escape(str(cell)) for cell in row]
            if code is not None:
                cells[code] = f"<code>{cells[code]}</code>"
            lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        kind = ' class="text"' if code is not None else ""
        body = "\n".join(lines)
        self.parts.append(
            f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        )

    def pictures(self, files: Sequence[tuple[Path, str]], summary: str | None = None) -> None:
        """Adds PNG files with their captions, behind a summary line that shows them when it is opened, where given."""
        figures = []
        for path, caption in files:
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            text = html.escape(caption)
            figures.append(
                f'<figure><img alt="{text}" loading="lazy" src="data:image/png;base64,{data}">'
                f"<figcaption>{text}</figcaption></figure>"
            )
        if figures and summary is not None:
            figures = [f"<details><summary>{html.escape(summary)}</summary>", *figures, "</details>"]
        self.parts += figures

    def write(self, path: Path) -> None:
        """Writes the page."""
        title = html.escape(self.title)
        links = "".join(f'<a href="#part{n}">{html.escape(text)}</a>' for n, text in enumerate(self.headings))
        body = "\n".join(self.parts)
        text = (
            f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
            f"<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<nav>{links}</nav>\n{body}\n</body>\n</html>\n"
        )
        write_text(path, text)
