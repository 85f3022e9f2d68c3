"""The package's shape: imports go up only, no circles, small modules, heatmaps and networks asked by the contract alone."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import fiducia

PACKAGE = Path(fiducia.__file__).parent
ROOMS = (
    *(
        "errors",
        "_version",
        "cpu",
        "tars",
        "files",
        "locks",
        "latex",
        "text",
        "words",
        "pages",
        "plugins",
        "registry",
        "option_types",
        "device",
    ),
    *("geometry", "schemes", "structures", "recipes", "images", "measures", "faces", "heatmaps", "draw"),
    *("data", "augment", "models", "losses", "calibration", "weights", "metrics"),
    *("detectors", "exporting", "runtimes", "video", "predict"),
    *("training", "evaluation", "inspect", "reproduce", "serve", "annotate", "review"),
    *("commands", "cli", "__init__", "__main__"),
)
"""From the top down: a module imports from its own room and from rooms that stand before it."""
DEPTH = {name: depth for depth, name in enumerate(ROOMS)}
TABLES = {"schemes.tables"}
"""Indices and nothing else."""
HEATMAP_ROOMS = {"models", "losses", "heatmaps", "exporting"}
FACADE = {"", "structures", "commands.listing"}
"""The package's own door re-exports names, the output itself says what it holds, and ``fiducia list`` names the decoders."""
MODULES = {
    ".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): p
    for p in sorted(PACKAGE.rglob("*.py"))
}


def room(module: str) -> str:
    """Return the first part of a module's name; the package's own is ``__init__``."""
    return module.partition(".")[0] or "__init__"


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def walk(module: str) -> Iterator[ast.AST]:
    """Yield a module's nodes without what stands under ``if TYPE_CHECKING``, which never runs."""
    waiting: list[ast.AST] = [parsed(module)]
    while waiting:
        node = waiting.pop()
        yield node
        typing_only = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        waiting += node.orelse if typing_only else ast.iter_child_nodes(node)


@cache
def imported(module: str) -> frozenset[str]:
    """Return the modules of fiducia that a module imports, at its top or inside its functions."""
    inside = MODULES[module].relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for node in walk(module):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - (node.level - 1)]
            full = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            for alias in node.names:
                inner = f"{full}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else full)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "fiducia":
            found.add((node.module or "").partition(".")[2])
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.partition(".")[0] == "fiducia"}
    return frozenset(found - {module})


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function and method of the package, with its module."""
    for module in MODULES:
        for node in walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, node


def test_every_module_has_a_room() -> None:
    assert {room(module) for module in MODULES} <= set(DEPTH)
    assert len(MODULES) > 100


def test_imports_go_upwards_only() -> None:
    wrong = [
        f"{module} imports {other}, whose room stands below"
        for module in MODULES
        for other in imported(module)
        if DEPTH[room(other)] > DEPTH[room(module)]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    # Modules are taken away whose imports are all gone; those of a circle remain.
    left = {module: {other for other in imported(module) if other in MODULES} for module in MODULES}
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_modules_are_short() -> None:
    lines = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in MODULES.items() if m not in TABLES}
    assert {module: count for module, count in lines.items() if count > 350} == {}
    assert statistics.median(lines.values()) <= 130


def test_heatmaps_are_read_by_networks_losses_and_exports_alone() -> None:
    """Everybody else asks ``LandmarkModel.decode``."""
    wrong = []
    for module in MODULES:
        if room(module) in HEATMAP_ROOMS or module in FACADE:
            continue
        if any(isinstance(node, ast.Attribute) and node.attr == "heatmaps" for node in walk(module)):
            wrong.append(f"{module} reads .heatmaps")
        wrong += [f"{module} imports {other}" for other in imported(module) if room(other) == "heatmaps"]
    assert wrong == []


@pytest.mark.parametrize("name", ["training", "evaluation", "exporting", "runtimes", "weights", "inspect"])
def test_networks_are_asked_what_the_contract_says_and_nothing_else(name: str) -> None:
    """No ``getattr`` or ``hasattr`` stands where networks are used."""
    asked = [
        f"{module}:{node.lineno}"
        for module in MODULES
        if room(module) == name
        for node in walk(module)
        if isinstance(node, ast.Name) and node.id in ("getattr", "hasattr")
    ]
    assert asked == []


def test_a_recipe_visits_few_places() -> None:
    """Each part of a run is built from its own section, by the room that owns it; the whole recipe is seen by few functions."""

    def sees(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        kinds = [node for one in arguments if one.annotation is not None for node in ast.walk(one.annotation)]
        takes = any(isinstance(node, ast.Name) and node.id == "Recipe" for node in kinds)
        return takes or any(
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "recipe"
            for node in ast.walk(function)
        )

    places = [f"{module}.{function.name}" for module, function in functions() if sees(function)]
    assert {"training.run.train", "training.setup.build_network"} <= set(places)
    assert len(places) <= 35, "\n".join(places)
