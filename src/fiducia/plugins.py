"""Code of other people: packages that name the entry-point group ``fiducia.plugins``, and single Python files.

A plugin is a module that registers things when it is imported, such as ``@fiducia.models.register("mine", size=128)``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from .errors import FiduciaError, UsageError

__all__ = ["GROUP", "load_entry_points", "load_plugin", "load_plugins", "loaded_plugins"]

GROUP = "fiducia.plugins"
"""The entry-point group that packages register under."""

_loaded: dict[Path, str] = {}
_entry_points_done = False


def load_plugin(path: str | Path) -> Path:
    """Import a Python file, once in a process. A second file with the same content is the same plugin.

    Args:
        path: a ``.py`` file that registers models, losses, data sets, detectors or other parts.

    Returns:
        its absolute path.

    Raises:
        UsageError: no such file, or one that does not import; the line names the file, the line in it and the error.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "mine.py"
        >>> _ = file.write_text("NOTE = 'registers your own parts when it is imported'")
        >>> load_plugin(file).name
        'mine.py'
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise UsageError(f"{path}: no such plugin; expected a Python file")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if file in _loaded or digest in _loaded.values():
        return file
    import importlib.util

    name = f"fiducia_plugin_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file; a plugin's name ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Registered first, so that pickled classes of the plugin and its dataclasses find their module.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except FiduciaError as error:
        del sys.modules[name]
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path}{_line(error, file)}: the plugin does not import: {_reason(error)}") from error
    _loaded[file] = digest
    return file


def load_plugins(paths: list[str] | tuple[str, ...], base: Path | None = None) -> None:
    """Import plugins in their order; relative paths are looked for below ``base`` first."""
    for path in paths:
        beside = base / path if base is not None else Path(path)
        load_plugin(beside if beside.is_file() else path)


def loaded_plugins() -> tuple[Path, ...]:
    """Return the plugin files that this process has imported, in their order."""
    return tuple(_loaded)


def load_entry_points() -> None:
    """Import the plugins of installed packages, once in a process. ``FIDUCIA_PLUGINS=off`` leaves them out.

    Raises:
        UsageError: one that does not import; the line names its package.
    """
    global _entry_points_done
    if _entry_points_done or os.environ.get("FIDUCIA_PLUGINS") == "off":
        return
    _entry_points_done = True
    from importlib.metadata import entry_points  # only where plugins are wanted: it takes its time

    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist is not None else point.value
            raise UsageError(
                f"the plugin {point.name!r} of the installed package {package} does not import: {_reason(error)}; "
                "uninstall it, or set FIDUCIA_PLUGINS=off"
            ) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _line(error: Exception, file: Path) -> str:
    """Return ``:LINE`` of the last frame inside the plugin."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f":{error.lineno}"
    line, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file:
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
