"""Rows of text as a LaTeX table in booktabs style, for papers."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["booktabs"]

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
    "±": r"$\pm$",
    "–": "--",
    "…": r"\ldots{}",
    "→": r"$\to$",
}


def booktabs(rows: Sequence[Sequence[str]], caption: str = "", label: str = "") -> str:
    """Return a ``table`` environment; ``\\usepackage{booktabs}`` is all that a paper needs for it.

    Args:
        rows: the head, then the body; of equal length. ``**bold**`` of Markdown becomes bold, backticks typewriter.
        caption: above the table.
        label: for ``\\ref``.

    Example:
        >>> print(booktabs([["", "NME in %"], ["all", "2.96"]]))
        \\begin{table}
          \\centering
          \\begin{tabular}{lr}
            \\toprule
             & NME in \\% \\\\
            \\midrule
            all & 2.96 \\\\
            \\bottomrule
          \\end{tabular}
        \\end{table}
        <BLANKLINE>
    """
    head, *body = [[_cell(value) for value in row] for row in rows]
    columns = "l" + "r" * (len(head) - 1)
    lines = [r"\begin{table}", r"  \centering"]
    if caption:
        lines.append(rf"  \caption{{{_cell(caption)}}}")
    if label:
        lines.append(rf"  \label{{{label}}}")
    lines += [rf"  \begin{{tabular}}{{{columns}}}", r"    \toprule", f"    {' & '.join(head)} \\\\", r"    \midrule"]
    lines += [f"    {' & '.join(row)} \\\\" for row in body]
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in text)
    escaped = re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)
    return re.sub(r"`(.+?)`", r"\\texttt{\1}", escaped)
