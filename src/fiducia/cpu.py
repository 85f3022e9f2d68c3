"""How many CPUs this process may use, and how its threads behave. Importing this module imports nothing heavy."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

__all__ = ["available_cpus", "compute_threads", "prepare_process", "use_threads"]

_SPIN = "1000"
"""How often an idle OpenMP thread looks for work before it sleeps: microseconds, where libgomp's own default is milliseconds.
Threads that spin keep other processes from their share of the cores; docs/reliability.md has the measurements."""


def available_cpus(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many CPUs this process may keep busy: its affinity, or its container's share where that is less.

    Args:
        root: where the control groups are mounted.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _quota(root)
    return max(1, min(affinity, math.ceil(share))) if share is not None else affinity


def _quota(root: Path) -> float | None:
    """Return the CPU share of a control group (version 2, then 1), or None where there is no limit."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        limit_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
        return limit_us / period_us if limit_us > 0 and period_us > 0 else None
    except (OSError, ValueError):
        return None


def compute_threads() -> int:
    """Return how many threads a runtime should compute with: torch's where torch is loaded, else as torch would choose."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else available_cpus()


def prepare_process() -> None:
    """Set the environment of a program of ours before any library starts threads; variables that are set already stay.

    For programs only: a library leaves its process as it is.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    if "OMP_NUM_THREADS" not in os.environ and available_cpus() < (os.cpu_count() or 1):
        os.environ["OMP_NUM_THREADS"] = str(available_cpus())


def use_threads(count: int) -> None:
    """Let this program compute with ``count`` threads: libraries that load later, and those that are loaded already."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)
