"""Where weights lie: shipped names, files, runs' directories. Importing this module imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from ..files import is_plain_file
from ..plugins import load_plugins
from ..registry import did_you_mean
from ..words import one_line

__all__ = ["SHIPPED", "find_weights", "load_saved_plugins", "shipped_names"]

SHIPPED = Path(__file__).parent
"""The directory of the weights that come with the package."""


def shipped_names() -> list[str]:
    """Return the names of the weights that come with the package."""
    return sorted(p.stem for p in SHIPPED.glob("*.safetensors"))


def find_weights(name: str | Path) -> Path:
    """Return the file of weights given by shipped name, file, or a run's directory.

    Raises:
        UsageError: there is no such name, file or run.
    """
    path = Path(name)
    if is_plain_file(path):
        return path
    if os.path.isdir(path):  # noqa: PTH112 (False, not an error, for names that the system refuses)
        for inside in (path / "weights" / "ema.safetensors", path / "weights" / "best.safetensors"):
            if is_plain_file(inside):
                return inside
        raise UsageError(
            f"{path}: no weights/ema.safetensors in this directory; is it a run's directory, and has it finished?"
        )
    shipped = SHIPPED / f"{name}.safetensors"
    if is_plain_file(shipped):
        return shipped
    raise UsageError(
        f"{one_line(name, 120)}: neither a weight file nor the name of shipped weights{did_you_mean(str(name), shipped_names())}"
    )


def load_saved_plugins(name: str | Path) -> None:
    """Import the plugins that were saved in a run's directory. Weights of any other kind have none.

    Only a run's directory is looked into: a weight file alone never brings code.

    Raises:
        UsageError: a plugin that does not import.
    """
    folder = Path(name) / "plugins"
    if os.path.isdir(folder):  # noqa: PTH112 (False, not an error, for names that the system refuses)
        load_plugins([str(path) for path in sorted(folder.glob("*.py"))])
