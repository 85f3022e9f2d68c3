"""The package's one direction: a module imports only from layers above it."""

from __future__ import annotations

import ast
from pathlib import Path

import fiducia

PACKAGE = Path(fiducia.__file__).parent
LAYERS = [
    {"_version"},
    {"scheme_tables"},
    {"schemes"},
    {"structures", "geometry", "registry"},
    {"config"},
    {"recipes"},
    {"heatmaps"},
    {"draw"},
    {"data"},
    {"augment"},
    {"models"},
    {"losses"},
    {"metrics"},
    {"predict"},
    {"engine"},
    {"serve"},
    {"commands"},
    {"cli"},
    {"__main__", "__init__"},
]
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}


def imported(path: Path) -> set[str]:
    """Return the first-level parts of fiducia that a module imports, at its top or inside its functions."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - (node.level - 1)]
            full = (*base, *((node.module or "").split(".") if node.module else ()))
            found |= {full[0]} if full else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fiducia."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("fiducia.")}
    return found


def test_imports_go_upwards_only() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        home = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for other in imported(path):
            if other not in DEPTH:
                continue
            if other != home and DEPTH[other] > DEPTH[home]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}, which stands below it")
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_layer() -> None:
    homes = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in PACKAGE.rglob("*.py")}
    assert homes <= set(DEPTH), f"add to LAYERS: {homes - set(DEPTH)}"


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 400 and "tables" not in p.name
    }
    assert not long
