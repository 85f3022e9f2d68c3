"""A cache folder of prepared graphs, so that weights are converted once and not at each start.

``FIDUCIA_CACHE`` names the folder; empty, it turns the cache off. Without it the folder is the platform's own for caches.
An entry is a directory, written beside and then renamed: several programs that start at once never see half of one. What is
read is checked by its digest, and a damaged entry is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import FiduciaError
from ..exporting.sealed import Sealed, read_sealed, write_onnx, write_openvino

__all__ = ["Entry", "cache_folder", "cpu_kind", "graph_key", "open_entry", "read_blob", "write_blob"]

VARIABLE = "FIDUCIA_CACHE"
FORM = 1
"""Raised when graphs are made in another way."""
MOST = 24
"""Entries that are kept; beyond that the one that was used least lately goes."""
_ROOMS = ("exporting", "heatmaps", "models")
"""Code that the graphs depend on; where it is edited, they are made again."""
_GRAPHS = ("graph.xml", "graph.onnx")
_REFUSED = "refused.json"


def cache_folder() -> Path | None:
    """Return the folder of the cache, which need not exist; None where ``FIDUCIA_CACHE`` is empty."""
    if VARIABLE in os.environ:
        named = os.environ[VARIABLE]
        return Path(named).expanduser() if named else None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))) / "fiducia" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fiducia"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fiducia"


def graph_key(facts: Mapping[str, Any]) -> str:
    """Return the name of an entry: a digest of what its graph depends on, this package's version and the CPU's kind."""
    whole = {**facts, "form": FORM, "fiducia": __version__, "code": _code_stamp(), "cpu": cpu_kind()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def cpu_kind() -> str:
    """Return what tells CPUs apart that compile a graph differently: name and instructions, as the system says them."""
    with suppress(OSError):
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            lines = file.read(20_000).split("\n\n")[0].splitlines()
        told = [
            line for line in lines if line.partition("\t")[0].strip().lower() in ("model name", "flags", "features")
        ]
        if told:
            return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return f"{platform.machine()} {platform.processor()}"


def _code_stamp() -> list[int]:
    """Return number, size and latest change of the code that makes graphs: a checkout that is edited makes them anew."""
    root = Path(__file__).parents[1]
    stats = [path.stat() for room in _ROOMS for path in (root / room).rglob("*.py")]
    return [len(stats), sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)]


class Entry:
    """One graph of the cache, or the reason why there is none.

    Args:
        folder: of the entry; it need not exist.

    Attributes:
        sealed: the graph; None where the entry is missing, damaged or a refusal.
        refused: why there is no graph for these weights; empty where there is one, or where nobody has tried.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sealed: Sealed | None = None
        self.refused = ""
        with suppress(OSError, ValueError, KeyError, TypeError):
            self.refused = str(json.loads((folder / _REFUSED).read_text(encoding="utf-8"))["reason"])
        for name in _GRAPHS:
            if not self.refused and (folder / name).is_file():
                try:
                    self.sealed = read_sealed(folder / name)
                except FiduciaError:
                    continue
                # A folder that may only be read keeps its times.
                with suppress(OSError):
                    os.utime(folder)

    def keep(self, sealed: Sealed, certificate: Mapping[str, Any]) -> None:
        """Store a graph with its certificate.

        Raises:
            OSError: the folder cannot be written.
        """

        def write(folder: Path) -> None:
            if sealed.weights is None:
                write_onnx(folder / "graph.onnx", sealed)
            else:
                write_openvino(folder / "graph.xml", sealed)
            (folder / "certificate.json").write_text(json.dumps(dict(certificate), indent=2) + "\n", encoding="utf-8")

        self._put(write)
        self.sealed = sealed

    def refuse(self, reason: str) -> None:
        """Store that these weights have no graph, so that the next start does not try again.

        Raises:
            OSError: the folder cannot be written.
        """
        self._put(lambda folder: _write_text(folder / _REFUSED, json.dumps({"reason": reason})))
        self.refused = reason

    def _put(self, write: Any) -> None:
        parent = self.folder.parent
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        try:
            try:
                write(beside)
            except FiduciaError as error:
                raise OSError(str(error)) from error
            if self.folder.exists() and Entry(self.folder).sealed is None:
                # What lies there is damaged.
                old = Path(tempfile.mkdtemp(prefix=".old-", dir=parent))
                self.folder.replace(old / "entry")
                shutil.rmtree(old, ignore_errors=True)
            with suppress(FileExistsError, OSError):
                # Another program may have stored the same meanwhile; then its entry stays.
                beside.rename(self.folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        _prune(parent)


def open_entry(key: str, root: Path) -> Entry:
    """Return an entry of the cache, read and checked."""
    return Entry(root / "graphs" / key)


def read_blob(path: Path) -> bytes | None:
    """Return what :func:`write_blob` stored; None where it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data[32:] if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32] else None


def write_blob(path: Path, data: bytes) -> None:
    """Store bytes with their digest, beside and then renamed; where that cannot be, nothing is stored."""
    with suppress(OSError):
        handle, beside = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            Path(beside).replace(path)
        except OSError:
            Path(beside).unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _prune(parent: Path) -> None:
    """Remove the entries that were used least lately, beyond :data:`MOST`."""
    with suppress(OSError):
        entries = [path for path in parent.iterdir() if not path.name.startswith(".")]
        for path in sorted(entries, key=lambda one: one.stat().st_mtime, reverse=True)[MOST:]:
            shutil.rmtree(path, ignore_errors=True)
