"""Reading and writing recipes: TOML in, :class:`fiducia.recipes.sections.Recipe` out, with errors that name the nearest key.

A recipe may ``extends = "other.toml"`` (one level: the other may not extend again). ``--set a.b=c`` overrides one value;
a key that stands in one section only may be given without it, as in ``--set epochs=5``.

Recipes that ship lie in ``recipes/``; the rows of the paper's tables in ``recipes/tables/``, read by :mod:`fiducia.reproduce.rows`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import FiduciaError, UsageError
from ..files import is_plain_file
from ..plugins import load_plugins
from ..registry import did_you_mean
from ..text import read_text
from ..words import one_line
from .limits import DEEPEST, MOST_BYTES, beyond_limits
from .merge import merge_tables
from .moved import moved_key, moved_recipe
from .sections import Recipe
from .stages import stage_tables

__all__ = ["dump_recipe", "find_recipe", "load_recipe", "parse_recipe", "recipe_names", "table_file", "toml_value"]

# Inside an installed package, and beside the sources of an editable one.
_FOLDERS = (Path(__file__).parent, Path(__file__).parents[3] / "recipes")


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes, such as ``300w``; those of the paper's tables are for ``fiducia reproduce``."""
    found = {path.stem for folder in _FOLDERS if folder.is_dir() for path in folder.glob("*.toml")}
    zoo = {f"zoo/{path.stem}" for folder in _FOLDERS if folder.is_dir() for path in folder.glob("zoo/*.toml")}
    return sorted(found | zoo)


def table_file(name: str) -> Path:
    """Return the path of a file of ``recipes/tables``, such as ``table3.toml``.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    for folder in _FOLDERS:
        if (path := folder / "tables" / name).is_file():
            return path
    raise FileNotFoundError(f"recipes/tables/{name} is missing from this installation of fiducia; install it again")


def find_recipe(name: str | Path) -> Path:
    """Return the file of a recipe given by path, or by the name of a shipped one.

    Raises:
        UsageError: there is neither such a file nor such a name.
    """
    for candidate in (Path(name), *(folder / f"{name}.toml" for folder in _FOLDERS), *(f / name for f in _FOLDERS)):
        if is_plain_file(candidate):
            return candidate
    moved = moved_recipe(str(name))
    if moved is not None:
        raise UsageError(f"{name}: this recipe {moved}")
    raise UsageError(f"{one_line(name, 120)}: no such recipe file{did_you_mean(str(name), recipe_names())}")


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides in their order, and import its plugins.

    Args:
        name: a path, or the name of a shipped recipe.
        overrides: ``section.key=value``; the value is TOML, and a bare word is a string.

    Raises:
        UsageError: unreadable file, unknown key (with the nearest known one), or a value of the wrong kind.

    Example:
        >>> recipe = load_recipe("fine_tune", ["train.epochs=60", "loss.similarity.weight=0.01"])
        >>> recipe.train.epochs, recipe.loss["similarity"].weight
        (60, 0.01)
    """
    path = find_recipe(name)
    table = _read(path)
    if "rows" in table:
        raise UsageError(f"{path}: a table of several recipes; run: fiducia reproduce {path.stem}")
    parent = table.pop("extends", None)
    if parent is not None:
        base_path = path.parent / str(parent)
        base = _read(base_path if is_plain_file(base_path) else find_recipe(str(parent)))
        if "extends" in base:
            raise UsageError(
                f"{path}: extends {one_line(parent, 120)}, which extends again; one level is allowed, so name its parent"
            )
        table = merge_tables(base, table)
    table.setdefault("name", path.stem)
    tables = [table]
    overrides = list(overrides)
    for override in overrides:
        tables.append(merge_tables(tables[-1], _override(override)))
    try:
        recipe = parse_recipe(tables[-1], origin=str(path))
    except UsageError as error:
        raise _blame(error, path, tables, overrides) from error
    for override in overrides:
        _require_effect(override, [stage.model_dump() for stage in recipe.stage], path)
    load_plugins(recipe.plugins, base=path.parent)
    return recipe


def _require_effect(override: str, stages: list[dict[str, Any]], path: Path) -> None:
    """Refuse ``--set epochs=5`` where every stage has its own number of epochs."""
    keys, node = [], _override(override)
    while isinstance(node, Mapping) and len(node) == 1:
        [(key, node)] = node.items()
        keys.append(key)
    if stages and all(_holds(stage, keys) for stage in stages):
        raise UsageError(
            f"--set {one_line(override, 120)}: has no effect, because every [[stage]] of {path.name} has its own "
            f"{'.'.join(keys)}; change it there, in a copy of {path}"
        )


def _holds(table: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True


def _blame(error: UsageError, path: Path, tables: list[dict[str, Any]], overrides: list[str]) -> UsageError:
    """Return the error with the first ``--set`` that brings it about in the file's place, where it is one of them."""
    for i, table in enumerate(tables):
        try:
            parse_recipe(table, origin=str(path))
        except UsageError as found:
            if str(found) == str(error):
                return (
                    error
                    if i == 0
                    else UsageError(f"--set {one_line(overrides[i - 1], 120)}: {str(error).removeprefix(f'{path}: ')}")
                )
    return error


def parse_recipe(table: Mapping[str, Any], origin: str = "recipe") -> Recipe:
    """Turn a nested dictionary into a Recipe; ``origin`` names the file in errors.

    Raises:
        UsageError: as :func:`load_recipe`.
    """
    moved = moved_key(table)
    if moved is not None:
        raise UsageError(f"{origin}: {moved}")
    _check_keys(table, Recipe, origin, "")
    stages = table.get("stage", ())
    if not isinstance(stages, list | tuple) or not all(isinstance(stage, Mapping) for stage in stages):
        raise UsageError(f"{origin}: stages are tables, [[stage]]; found {stages!r}")
    try:
        recipe = Recipe.model_validate(dict(table))
        problem = beyond_limits(recipe)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"] if not str(part).startswith(("literal", "function"))]
        where = one_line(".".join(parts), 120)
        message = one_line(first["msg"].removeprefix("Value error, "), 300)
        found = "" if first["type"] == "value_error" else f"; found {one_line(repr(first['input']), 120)}"
        raise UsageError(f"{origin}: {where + ': ' if where else ''}{message}{found}") from error
    except RecursionError as error:
        raise UsageError(f"{origin}: has more than {DEEPEST} tables in one another; no recipe needs them") from error
    if problem:
        raise UsageError(f"{origin}: {problem}")
    try:
        legs = stage_tables(table, [dict(stage) for stage in stages])
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error
    for number, leg in enumerate(legs, start=1):
        parse_recipe(leg, f"{origin}: stage {number}")
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """Return the whole recipe as TOML that :func:`load_recipe` reads back to an equal one."""
    lines: list[str] = []
    _dump(recipe.model_dump(mode="json", exclude_none=True), "", lines)
    return "\n".join(lines).strip() + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UsageError(f"{path}: {size:,} bytes; a recipe has at most {MOST_BYTES:,}")
        return tomllib.loads(read_text(path, "a recipe (TOML)"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read as a recipe ({error.strerror or error})") from error
    except FiduciaError as error:
        raise UsageError(str(error)) from error
    except (ValueError, RecursionError) as error:
        # Also numbers of thousands of digits, and tables in tables without end.
        raise UsageError(f"{path}: not TOML: {one_line(error, 160) or type(error).__name__}") from error


def _override(text: str) -> dict[str, Any]:
    key, sign, raw = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {one_line(text, 120)}: expected key=value, for example train.epochs=5")
    try:
        value = tomllib.loads(f"x = {raw}")["x"]
    except tomllib.TOMLDecodeError:
        value = raw
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--set {one_line(text, 80)}: {one_line(error, 100) or type(error).__name__}") from error
    parts = key.strip().split(".")
    if len(parts) == 1 and parts[0] not in Recipe.model_fields:
        homes = _homes(Recipe, parts[0], [])
        if len(homes) > 1:
            raise UsageError(
                f"--set {one_line(text, 120)}: {parts[0]!r} stands in {' and '.join('.'.join(h) for h in homes)}; say which"
            )
        if not homes:
            # Here, since a look at the top level alone would offer no key but the sections.
            raise UsageError(
                f"--set {one_line(text, 120)}: unknown key {one_line(parts[0], 80)!r}{did_you_mean(parts[0], _keys(Recipe))}"
            )
        parts = homes[0]
    nested: Any = value
    for part in reversed(parts):
        nested = {part: nested}
    return dict(nested)


def _homes(model: type[BaseModel], key: str, prefix: list[str]) -> list[list[str]]:
    """Return the full paths of every field called ``key`` below ``model``."""
    homes: list[list[str]] = []
    for name, field in model.model_fields.items():
        if name == key:
            homes.append([*prefix, name])
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            homes += _homes(field.annotation, key, [*prefix, name])
    return homes


def _keys(model: type[BaseModel]) -> list[str]:
    """Return the names of every field of ``model`` and below it, each once."""
    found = dict.fromkeys(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= dict.fromkeys(_keys(field.annotation))
    return list(found)


def _check_keys(table: Mapping[str, Any], model: type[BaseModel], origin: str, prefix: str) -> None:
    known = list(model.model_fields)
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{origin}: unknown key {one_line(prefix + key, 80)!r}{did_you_mean(key, known)}")
        kind = model.model_fields[key].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not isinstance(value, Mapping):
                raise UsageError(
                    f"{origin}: {prefix + key} is a section, [{prefix + key}]; found {one_line(repr(value), 120)}"
                )
            _check_keys(value, kind, origin, f"{prefix}{key}.")
        elif prefix + key == "loss":
            for name, one in value.items() if isinstance(value, Mapping) else [("", value)]:
                if not isinstance(one, Mapping):
                    shown, found = one_line(name, 60), one_line(repr(one), 120)
                    raise UsageError(f'{origin}: a loss is a table, [loss.{shown}] with kind = "..."; found {found}')


def _dump(table: Mapping[str, Any], prefix: str, lines: list[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, Mapping) and key != "stage":
            lines.append(f"{_key(key)} = {toml_value(value)}")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{prefix}{_key(key)}]"]
            _dump(value, f"{prefix}{_key(key)}.", lines)
    for stage in table.get("stage", ()) if not prefix else ():
        lines += ["", "[[stage]]"]
        _dump(stage, "stage.", lines)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else toml_value(key)


def toml_value(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    # JSON's strings, numbers and booleans are TOML but for two things: TOML knows no pairs of \\u surrogates, so characters
    # are written as themselves, and it wants DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
