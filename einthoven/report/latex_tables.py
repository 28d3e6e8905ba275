"""Tables of results as LaTeX, with booktabs' rules."""

from collections.abc import Sequence

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """Writes a `table` environment; the first column is aligned left, the others right.

    It needs the packages `booktabs` and `graphicx`, which shrinks a table that is too wide.

    Args:
        header: Names of the columns.
        rows: Cells of each row, as many as columns, plain text.
        caption: Caption, plain text.
        label: Label to refer to it by.

    Returns:
        The source, with a line end.

    Raises:
        ValueError: If a row has another number of cells than the header.
    """
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"every row of a table needs {len(header)} cells, as many as its header")
    lines = [" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in (header, *rows)]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{{label}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            *body,
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """Replaces the characters that LaTeX reads as commands."""
    return "".join(_ESCAPES.get(character, character) for character in text)
