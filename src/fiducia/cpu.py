"""How many CPUs this process may use, and how its threads behave. Importing this module imports nothing heavy."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = [
    "available_cpus",
    "compute_threads",
    "load_openvino",
    "prepare_process",
    "thread_variables",
    "use_threads",
    "wanted_threads",
]

_SPIN = "1000"
"""How often an idle OpenMP thread looks for work before it sleeps: microseconds, where libgomp's own default is milliseconds.
Threads that spin keep other processes from their share of the cores; docs/reliability.md has the measurements."""

_OPENCV = "OPENCV_FOR_THREADS_NUM"


def available_cpus(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Return how many CPUs this process may keep busy: its affinity, or its container's share where that is less.

    Args:
        root: where the control groups are mounted.
        own: names the groups of this process; those above it limit it too.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [share for folder in _groups(root, own) if (share := _quota(folder)) is not None]
    return max(1, min(affinity, *map(math.ceil, shares))) if shares else affinity


def _groups(root: Path, own: Path) -> list[Path]:
    """Return the folders that may hold a limit: the mount, and the groups of this process and those above them."""
    folders = [root, root / "cpu"]
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        return folders
    for line in lines:
        _, kinds, path = [*line.split(":", 2), "", ""][:3]
        if kinds == "" or "cpu" in kinds.split(","):
            base = root / "cpu" if kinds else root
            parts = [part for part in path.split("/") if part not in ("", "..")]
            folders += [base.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    return folders


def _quota(folder: Path) -> float | None:
    """Return the CPU share of a control group (version 2, then 1), or None where there is no limit."""
    try:
        limit, period = (folder / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        limit_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return limit_us / period_us if limit_us > 0 and period_us > 0 else None
    except (OSError, ValueError):
        return None


def compute_threads() -> int:
    """Return how many threads a runtime should compute with: torch's where torch is loaded, else as it would choose."""
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else wanted_threads()


def prepare_process() -> None:
    """Set the environment of a program of ours before any library starts threads; variables that are set already stay.

    For programs only: a library leaves its process as it is.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    if "OMP_NUM_THREADS" not in os.environ and available_cpus() < (os.cpu_count() or 1):
        os.environ["OMP_NUM_THREADS"] = str(available_cpus())
    if "OMP_NUM_THREADS" in os.environ:
        # OpenCV has threads of its own, which do not look at OpenMP's number.
        os.environ.setdefault(_OPENCV, str(wanted_threads()))


def wanted_threads() -> int:
    """Return how many threads this process should keep busy: those of ``--threads`` or ``OMP_NUM_THREADS``, else the CPUs."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(given) if given.isdigit() and int(given) > 0 else available_cpus()


def thread_variables(count: int) -> dict[str, str]:
    """Return the environment in which libraries that load later compute with ``count`` threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", _OPENCV), str(count))


def use_threads(count: int) -> None:
    """Let this program compute with ``count`` threads: libraries that load later, and those that are loaded already."""
    os.environ.update(thread_variables(count))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)


_openvino_lock = threading.Lock()
_REPORTS = "openvino_telemetry"


def load_openvino() -> Any:
    """Return the module ``openvino``, ready for several threads.

    The first array that OpenVINO takes in a process makes it ask for NumPy's version, in a C++ initialiser that calls
    Python. Where two threads come to it together, one waits for the initialiser and holds Python's lock, the other holds the
    initialiser and waits for Python: both hang. So the first array is given here, by one thread.

    An import of OpenVINO reports itself to its makers over the network, from a process of its own, and leaves a directory
    ``intel`` in the user's home. Here it does not: while it is imported, the package that reports is not to be found, and
    OpenVINO uses its own empty replacement.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import numpy as np

    with _openvino_lock:
        silent = not {"openvino", _REPORTS} & sys.modules.keys()
        if silent:
            sys.modules[_REPORTS] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            if silent:
                del sys.modules[_REPORTS]
        openvino.Tensor(np.zeros(1, np.float32))
    return openvino
