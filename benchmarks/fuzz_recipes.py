"""Recipes for ``fuzz.py``: shipped ones with faults in their keys, values and bytes, files built to harm, and wrong ``--set``.

``cases(SEED, N)`` yields them as pairs of a suffix and bytes.
"""

from __future__ import annotations

import copy
import functools
import random
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mutate import fault_in_text, fault_in_values, places

from fiducia.recipes.explain import explain
from fiducia.recipes.files import dump_recipe, find_recipe, load_recipe, recipe_names, toml_value
from fiducia.training.setup import completed

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 99_999, 10**9, 10**18, 1 << 63, 10**30, 0.5, -0.5, 1e308, 1e-308, float("nan"), float("inf")),
    *(True, "", "auto", "none", "128", "x" * 20_000, "a\nb", "\x1b[31m", "é", "../..", "/dev/zero", "timm:", "ibug68"),
    *([], {}, [[]], [0], [1, 2], [[0, 1], [1, 0]], {"a": 1}, {"kind": "bce"}, [{"kind": "noise"}]),
)
WORDS = (
    "",
    "0",
    "-1",
    "nan",
    "1e999",
    "9" * 5000,
    "9" * 400,
    "[",
    "[" * 3000,
    "{",
    '"',
    "'''",
    "1979-05-27",
    "0x",
    "\x00",
    "\ufeff",
    "\\u0000",
)
NAMES = ("x" * 300, "a.b", "", "é", "options")
ABSURD = (
    "train.epochs = 0",
    "train.epochs = 1000000000000",
    "train.batch_size = -1",
    "train.batch_size = 100000000000000000000",
    "train.workers = 100000000",
    "train.threads = 10000000",
    "train.devices = 1000000000",
    "data.size = 1000000000",
    "data.size = 0",
    "data.scale = 1e300",
    "data.scale = nan",
    "data.val_fraction = 1.0",
    "optim.lr = inf",
    "optim.lr = -1",
    "optim.clip = nan",
    "heatmap.sigma = 1e300",
    "heatmap.radius = inf",
    "augment.fifa.n = 1000000000",
    "augment.rotation = inf",
    "model.options.depth = 100000000",
    'model.name = "no_such"',
    'model.name = "a\\nb"',
    'name = "a\\nb"',
    'optim.kind = "no_such"',
    'loss = "none"',
    "loss.x = 5",
    'heatmap.decode = "no_such"',
    'data.source = "no_such:/x"',
)
"""Lines of TOML that no recipe may have."""


@functools.cache
def seeds() -> dict[str, dict[str, Any]]:
    """Return the shipped recipes as tables, written out whole, so that every key of every section occurs."""
    found = {}
    for name in recipe_names():
        table = tomllib.loads(find_recipe(name).read_text())
        if "rows" in table or "extends" in table:
            continue
        found[name] = table
        found[f"{name}, all keys"] = tomllib.loads(dump_recipe(load_recipe(name)))
    return found


def _toml(table: dict[str, Any]) -> str:
    """Return a table as TOML; what TOML cannot hold is written all the same."""
    try:
        return "\n".join(f"{toml_value(str(key))} = {toml_value(value)}" for key, value in table.items())
    except (TypeError, ValueError):
        return "x ="


def hostile(draw: random.Random) -> tuple[str, str]:
    """Return a word and a recipe that was built to fill memory, to hang a reader, or to be read as something else."""
    word = draw.choice(("deep", "long", "keys", "options", "members", "losses", "digits", "extends", "paths"))
    many = draw.choice((10, 1000, 30_000))
    if word == "deep":
        return word, "x = " + "[" * many + "]" * many
    if word == "long":
        return word, f'name = "{"x" * many * 40}"'
    if word == "keys":
        return word, "\n".join(f"k{i} = 1" for i in range(many))
    if word == "options":
        key, value = (
            draw.choice(("depth", "width", "channels", "stages", "heads", "x")),
            draw.choice((999, 99_999, 0, -5)),
        )
        name = draw.choice(
            ("fifa_tiny", "vit_base", "farl", "hrnet_w18", "fan", "hih", "dvit", "pipnet_r18", "slpt", "propnet")
        )
        group = draw.choice(("", "backbone.", "hourglass.", "head."))
        return word, f'model.name = "{name}"\nmodel.options.{group}{key} = {value}'
    if word == "members":
        inner = '{model = "fifa_tiny"}'
        members = ", ".join([inner] * min(many, 1000))
        return word, f'[model]\nname = "ensemble"\noptions = {{members = [{members}]}}'
    if word == "losses":
        return word, "\n".join(
            f'[loss.a{i}]\nkind = "{draw.choice(("bce", "coord", "dcca", "adaptive_wing"))}"'
            for i in range(min(many, 300))
        )
    if word == "digits":
        return word, f"train.epochs = {'9' * many}"
    if word == "extends":
        return word, f'extends = "{draw.choice(("300w", "/dev/zero", ".", "no_such", "x" * 5000, "smoke", "r.toml"))}"'
    path = draw.choice(("/dev/zero", "/dev/null", ".", "/", "x" * 5000, "no_such.toml", "\\u0000"))
    key = draw.choice(("data.scheme", "model.backbone_weights", "data.source", "heatmap.decode", "optim.schedule"))
    return word, f'{key} = "{path}"'


def draw_recipe(draw: random.Random) -> tuple[str, tuple[bytes, list[str], bool]]:
    """Return what it is, and (bytes, overrides, whether it must be refused)."""
    chance = draw.random()
    if chance < 0.2:
        word, text = hostile(draw)
        return word, (text.encode(), [], word in ("long", "keys") and len(text) > 20_000)
    name = draw.choice(sorted(seeds()))
    table = copy.deepcopy(seeds()[name])
    if chance < 0.4:
        line = draw.choice(ABSURD)
        if draw.random() < 0.5:
            return f"--set {line}", (_toml(table).encode(), [line], True)
        key = line.partition(" = ")[0].split(".")
        node = table
        for part in key[:-1]:
            node = node.setdefault(part, {})
        node.pop(key[-1], None)
        return line, (
            f"{line}\n{_toml(table)}".encode() if "." not in line.partition(" ")[0] else _with(table, line),
            [],
            True,
        )
    if chance < 0.75:
        for _ in range(draw.choice((1, 1, 2, 4))):
            fault_in_values(table, draw, NUMBERS, NAMES)
        return f"{name}: values", (_toml(table).encode("utf-8", "surrogatepass"), [], False)
    if chance < 0.85:
        way = ".".join(str(part) for part in draw.choice(list(places(table))))
        value = draw.choice((*WORDS, *(toml_value(n) for n in NUMBERS if n == n)))
        return f"{name}: --set", (_toml(table).encode(), [f"{way}={value}"], False)
    data = _toml(table).encode()
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = fault_in_text(data, draw, [word.encode() for word in WORDS])
    return f"{name}: bytes", (data, [], False)


def _with(table: dict[str, Any], line: str) -> bytes:
    """Return a recipe's bytes with one value set to what a line of TOML says."""

    def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        for key, value in over.items():
            both = isinstance(base.get(key), dict) and isinstance(value, dict)
            base[key] = merge(base[key], value) if both else value
        return base

    # toml_value writes numbers that are not finite as Python does.
    return _toml(merge(table, tomllib.loads(line))).replace("NaN", "nan").replace("Infinity", "inf").encode()


def cases(seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``n`` pairs of a suffix and a recipe's bytes; the same for the same seed."""
    for number in range(n):
        yield ".toml", draw_recipe(random.Random(f"{seed} recipes {number}"))[1][0]


def read(given: tuple[bytes, list[str], bool]) -> Any:
    """Read a recipe, build its network and losses without memory, write it and read it again.

    Raises:
        FiduciaError: it is refused.
    """
    data, overrides, _ = given
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.toml"
        path.write_bytes(data)
        recipe = load_recipe(path, overrides)
        whole = completed(recipe)
        explain(whole)
        path.write_text(dump_recipe(recipe), encoding="utf-8")
        if load_recipe(path) != recipe:
            raise ValueError("a written recipe is not read back as it was")
    return whole


def judge(given: tuple[bytes, list[str], bool], found: Any) -> str:
    """Return what is wrong with a recipe that was read: a value that cannot be right."""
    return "a recipe that cannot be right was used" if given[2] else ""


KIND = SimpleNamespace(draw=draw_recipe, read=read, judge=judge)
