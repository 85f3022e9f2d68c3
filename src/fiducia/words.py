"""Words for a terminal: text out of other people's files made fit for it, and times."""

from __future__ import annotations

from typing import Any

__all__ = ["duration", "fit_for_terminal", "one_line"]


def fit_for_terminal(text: str) -> str:
    r"""Return text in which every character that does not print, such as an escape or a lone surrogate, is spelled ``\x1b``.

    Line ends stay: a text of several lines is shown as one.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(value: Any, most: int) -> str:
    """Return a value as printable text on one line, cut to ``most`` characters."""
    text = str(value)[: most + 1]
    text = fit_for_terminal(" ".join(text.split()))
    return text if len(text) <= most else text[: most - 3] + "..."


def duration(seconds: float) -> str:
    """Return a time as ``1h02m``, ``3m07s`` or ``8s``."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{secs:02d}s" if minutes else f"{secs}s"
