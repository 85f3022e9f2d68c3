"""A recipe with every key explained: value, unit or range, and what it does."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .files import toml_value
from .sections import Recipe

__all__ = ["Row", "explain", "explained_rows"]

Row = tuple[str, str, str, str]
"""Key, value as TOML, what it may be, what it does."""


def explained_rows(recipe: Recipe) -> list[Row]:
    """Return one row for each key of a recipe, after all defaults."""
    return list(_rows(recipe, ""))


def explain(recipe: Recipe) -> str:
    """Return the complete recipe as TOML, each key with its explanation and range in a comment."""
    lines: list[str] = []
    section = ""
    for key, value, allowed, what in explained_rows(recipe):
        head, _, leaf = key.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{head}]"]
        lines.append(f"# {what}{f' ({allowed})' if allowed else ''}")
        lines.append(f"{leaf} = {value}" if value else f"# {leaf} is not set")
    return "\n".join(lines).strip() + "\n"


def _rows(section: BaseModel, prefix: str) -> Iterator[Row]:
    inner: list[tuple[str, Any]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel) or (
            isinstance(value, dict) and any(isinstance(v, BaseModel) for v in value.values())
        ):
            inner.append((name, value))
            continue
        plain = section.model_dump(mode="json", exclude_none=True).get(name)
        shown = "" if plain is None else toml_value(plain)
        yield f"{prefix}{name}", shown, _allowed(field), _words(field.description)
    for name, value in (section.model_extra or {}).items():
        yield f"{prefix}{name}", toml_value(value), "", "Option of this kind."
    for name, value in inner:
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            for key, one in value.items():
                yield from _rows(one, f"{prefix}{name}.{key}.")


def _words(text: str | None) -> str:
    return " ".join((text or "").replace("``", "").split())


def _allowed(field: FieldInfo) -> str:
    """Return what a field may be, such as ``0 <= number < 1`` or ``shared_aug, indep_photo, indep_all``."""
    kinds = _kinds(field.annotation)
    bounds = {type(m).__name__: m for m in field.metadata}
    low = next((f"{sign} {_bound(bounds[n])}" for n, sign in (("Gt", ">"), ("Ge", ">=")) if n in bounds), "")
    high = next((f"{sign} {_bound(bounds[n])}" for n, sign in (("Lt", "<"), ("Le", "<=")) if n in bounds), "")
    return ", ".join(part for part in (kinds, low, high) if part)


def _bound(mark: Any) -> str:
    return f"{next(iter(vars(mark).values())) if hasattr(mark, '__dict__') else getattr(mark, mark.__slots__[0]):g}"


def _kinds(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return ", ".join(str(value) for value in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kinds(part) for part in typing.get_args(annotation) if part is not type(None))
    if origin is typing.Annotated:
        base, *marks = typing.get_args(annotation)
        signs = {"Gt": ">", "Ge": ">=", "Lt": "<", "Le": "<="}
        found = [f"{signs[type(m).__name__]} {_bound(m)}" for m in marks if type(m).__name__ in signs]
        return " ".join([_kinds(base), *found])
    if origin in (tuple, list):
        return "list"
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "table"}
    return names.get(annotation, "table" if origin is dict else getattr(annotation, "__name__", "").lower())
