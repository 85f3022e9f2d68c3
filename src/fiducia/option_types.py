"""Options of parts that are chosen by name, held to the types that the part declares for them.

A recipe's bare word is a text, and every text but the empty one is true: ``pose = "no"`` would turn a pose branch on.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from .words import one_line

__all__ = ["mistyped"]


def mistyped(target: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """Return which option has a value of a wrong type, or one that its type leaves out; empty where none has.

    Types are read from the annotations of the keywords, ``Annotated`` ones such as ``pydantic.PositiveFloat`` too. A keyword
    without an annotation, and one whose annotation is no type of plain values, take anything.

    Args:
        target: a class or a function.
        options: keyword → value, as in TOML or JSON: a list stands for any sequence.

    Example:
        >>> def part(*, pose: bool = True, sigma: float = 1.0) -> None: ...
        >>> mistyped(part, {"pose": False, "sigma": 2})
        ''
        >>> mistyped(part, {"pose": "no"})
        "pose: Input should be a valid boolean; found 'no'"
    """
    for key, value in options.items():
        adapter = None if isinstance(value, BaseModel) else _adapter(target, key)
        if adapter is None:
            continue
        try:
            text = json.dumps(value)
        except TypeError:
            continue  # no value of a recipe: it comes from Python, with the part's own author
        try:
            adapter.validate_json(text, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            return f"{key}: {one_line(problem, 200)}; found {one_line(repr(value), 120)}"
    return ""


@cache
def _adapter(target: Callable[..., Any], key: str) -> TypeAdapter[Any] | None:
    """Return what checks a keyword's values, or None where its annotation says nothing of them."""
    hint = _hints(target).get(key)
    try:
        return None if hint is None else TypeAdapter(hint)
    except PydanticUserError:
        return None


@cache
def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}  # names that only a type checker sees, as a plugin may have them
