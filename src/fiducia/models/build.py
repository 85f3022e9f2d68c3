"""A registered name, options and a number of landmarks → a network. No network is known here by name."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import UsageError
from ..option_types import mistyped
from ..recipes.merge import merge_tables
from ..registry import did_you_mean
from ..schemes.sets import Scheme
from .base import LandmarkModel, Options
from .registry import Preset, find_preset, keywords

__all__ = ["build_model", "option_groups", "upgrade_options"]


def build_model(
    name: str,
    num_points: int,
    size: int | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    scheme: Scheme | None = None,
    preset: bool = True,
) -> LandmarkModel:
    """Build a registered network with random weights.

    Args:
        name: a registered network, or a family's and a member's name, such as ``timm:resnet18``.
        num_points: K.
        size: side of the crops in pixels; None = the network's usual one.
        options: what differs from the preset, as nested tables.
        scheme: the landmark set, for networks that draw edges or know mirror pairs; others ignore it.
        preset: False = ``options`` are all that differs from the builder's own defaults. A weight card holds all of them, so
            that trained weights keep their network when the preset of its name changes.

    Raises:
        UsageError: an unknown network or option, a value of a wrong type, sizes that do not divide, or no landmark.
    """
    entry = find_preset(name)
    if num_points < 1 or (size is not None and size < 1):
        raise UsageError(
            f"model {name}: expected a landmark and a pixel at least; found {num_points} landmarks and size {size}"
        )
    table = upgrade_options(entry, options or {}, refuse=preset)
    arguments = merge_tables(entry.options, table) if preset else dict(table)
    known = keywords(entry)
    for key in arguments:
        if key not in known:
            raise UsageError(f"model.options: {name} has no option {key!r}{did_you_mean(key, sorted(known))}")
        if arguments[key] != entry.fixed.get(key, arguments[key]):
            raise UsageError(
                f"model.options.{key} = {arguments[key]!r}: the name {name} says {entry.fixed[key]!r} already"
            )
    arguments.update(entry.fixed)
    for key, group in option_groups(entry).items():
        if key in arguments:
            arguments[key] = _group(name, key, group, arguments[key])
    # The network's own words first, where it has any for the value.
    wrong = mistyped(entry.build, arguments)
    given = {"scheme": scheme} if "scheme" in inspect.signature(entry.build).parameters else {}
    try:
        built = entry.build(num_points, size or entry.size, **arguments, **given)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        if wrong and not isinstance(error, ValueError):
            raise UsageError(f"model.options.{wrong}") from error
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"model {name} at {size or entry.size} pixels: {reason}") from error
    if wrong:
        raise UsageError(f"model.options.{wrong}")
    return built


def option_groups(entry: Preset) -> dict[str, type[Options]]:
    """Return the option groups among a builder's keywords, by keyword."""
    target = entry.build.__init__ if inspect.isclass(entry.build) else entry.build
    hints = typing.get_type_hints(target)
    return {k: v for k, v in hints.items() if isinstance(v, type) and issubclass(v, Options)}


def upgrade_options(entry: Preset, options: Mapping[str, Any], *, refuse: bool = False) -> dict[str, Any]:
    """Put options that an earlier version named otherwise in their present place.

    Raises:
        UsageError: with ``refuse``, for a recipe: one line that says which key moved where.
    """
    upgraded: dict[str, Any] = {}
    for key, value in options.items():
        target = entry.renamed.get(key)
        if target is None:
            upgraded = merge_tables(upgraded, {key: value})
            continue
        if refuse:
            raise UsageError(f"model.options.{key} is now model.options.{target}; change the recipe")
        nested: Any = value
        for part in reversed(target.split(".")):
            nested = {part: nested}
        upgraded = merge_tables(upgraded, nested)
    return upgraded


def _group(name: str, key: str, group: type[Options], value: Any) -> BaseModel:
    if isinstance(value, group):
        return value
    if not isinstance(value, Mapping):
        raise UsageError(f"model.options.{key}: {name} expects a table of options; found {value!r}")
    try:
        return group.model_validate(dict(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["model", "options", key, *(str(part) for part in first["loc"])])
        known = list(group.model_fields)
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"{where}: {name} has no such option{did_you_mean(str(first['loc'][0]), known)}"
            ) from error
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}; found {first['input']!r}") from error
