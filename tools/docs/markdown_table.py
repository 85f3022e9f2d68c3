"""Text that is safe in a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["cell", "code", "one_line", "table"]

_ROLE = re.compile(r":\w+:`[~!]?([^`]+)`")


def one_line(text: str | None) -> str:
    """Return the first paragraph of a docstring on one line, its Sphinx roles as plain code."""
    first = (text or "").strip().partition("\n\n")[0]
    return _ROLE.sub(r"`\1`", " ".join(first.split()))


def code(text: str) -> str:
    """Return a word as code, or nothing for an empty one."""
    return f"`{text}`" if text else ""


def cell(text: str) -> str:
    """Return text that does not end a table's cell; bars in code need no escape."""
    parts = text.replace("\n", " ").split("`")
    return "`".join(part if i % 2 else part.replace("|", "\\|") for i, part in enumerate(parts))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
