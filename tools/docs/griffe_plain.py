"""Makes docstrings fit the site: Sphinx roles become code, and ``Example:`` a section with highlighted code."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["PlainDocstrings"]

_ROLE = re.compile(r":\w+:`[~!]?([^`]+)`")
_EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)
_OPTION = re.compile(r"[ \t]*# doctest: \+\w+")


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring as it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)


def plain(text: str) -> str:
    """Return a docstring as the site shows it."""
    return _OPTION.sub("", _EXAMPLE.sub(r"\1Examples:", _ROLE.sub(r"`\1`", text)))
