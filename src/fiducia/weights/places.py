"""Where weights lie: shipped names, files, runs' directories. Importing this module imports no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..plugins import load_plugins
from ..registry import did_you_mean

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
    if path.is_file():
        return path
    if path.is_dir():
        for inside in (path / "weights" / "ema.safetensors", path / "weights" / "best.safetensors"):
            if inside.is_file():
                return inside
        raise UsageError(
            f"{path}: no weights/ema.safetensors in this directory; is it a run's directory, and has it finished?"
        )
    shipped = SHIPPED / f"{name}.safetensors"
    if shipped.is_file():
        return shipped
    raise UsageError(
        f"{name}: neither a weight file nor the name of shipped weights{did_you_mean(str(name), shipped_names())}"
    )


def load_saved_plugins(name: str | Path) -> None:
    """Import the plugins that were saved in a run's directory. Weights of any other kind have none.

    Only a run's directory is looked into: a weight file alone never brings code.

    Raises:
        UsageError: a plugin that does not import.
    """
    folder = Path(name) / "plugins"
    if folder.is_dir():
        load_plugins([str(path) for path in sorted(folder.glob("*.py"))])
