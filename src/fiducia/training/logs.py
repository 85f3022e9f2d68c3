"""What a run leaves behind: its directory, its metrics as CSV and TensorBoard, and a line an epoch on standard error."""

from __future__ import annotations

import csv
import io
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .._version import __version__
from ..files import write_atomic
from ..words import duration

__all__ = ["RunLog", "versions"]


def versions() -> dict[str, str]:
    """Return what a result depends on: versions, platform, git commit (where there is one) and the command line."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    return {
        "fiducia": __version__,
        "commit": commit,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


class RunLog:
    """The metrics of a run, one row an epoch; rank 0 alone writes.

    ``metrics.csv`` is written anew from the whole history after every epoch, so a resumed run leaves no row twice.

    Args:
        directory: the run's own.
        history: rows of the epochs already done, for a resumed run.
        quiet: True on every rank but 0.
    """

    def __init__(self, directory: Path, history: list[dict[str, float]], quiet: bool = False) -> None:
        self.directory = directory
        self.history = history
        self.quiet = quiet
        self.stage = ""
        """Words before every line, such as ``stage 1/3``; empty in a run of one stage."""
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.started = time.monotonic()
        self._board = None if quiet else _tensorboard(directory / "tensorboard")

    def epoch(self, row: dict[str, float], last: int, total: int) -> None:
        """Keep one epoch's row and say it.

        Args:
            row: named values.
            last: the last epoch of the stage, which the time left is told for.
            total: epochs of the run.
        """
        self.history.append(row)
        if self.quiet:
            return
        columns = list(dict.fromkeys(key for entry in self.history for key in entry))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([{k: f"{v:.8g}" for k, v in entry.items()} for entry in self.history])
        write_atomic(self.directory / "metrics.csv", text.getvalue().encode())
        epoch = int(row["epoch"])
        if self._board is not None:
            for key, value in row.items():
                if key != "epoch":
                    self._board.add_scalar(key.replace("_", "/", 1), value, epoch)
            self._board.flush()
        shown = "  ".join(f"{k.removeprefix('train_')} {v:.4g}" for k, v in row.items() if _worth_a_line(k))
        left = (last - epoch) * row["seconds"]
        where = " in this stage" if self.stage else ""
        line = f"{self._prefix}epoch {epoch}/{total}  {shown}  {duration(row['seconds'])}, {duration(left)} left{where}"
        self.console.print(line, soft_wrap=True)

    @contextmanager
    def progress(self, epoch: int, epochs: int, done: int, steps: int) -> Iterator[Callable[[], None]]:
        """Show the steps of an epoch with the time left, on a terminal; yields what to call after each step."""
        if self.quiet or not self.console.is_terminal:
            yield lambda: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(f"{self._prefix}epoch {epoch}/{epochs}", total=steps, completed=done)
            yield lambda: bar.advance(task)

    @property
    def _prefix(self) -> str:
        return f"{self.stage}  " if self.stage else ""

    def json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write ``value`` as ``name`` in the run's directory."""
        if not self.quiet:
            write_atomic(self.directory / name, (json.dumps(value, indent=2) + "\n").encode())

    def close(self) -> None:
        """Flush what is buffered."""
        if self._board is not None:
            self._board.close()


def _worth_a_line(key: str) -> bool:
    return key.startswith(("train_", "val_")) and not key.startswith(("train_share", "train_dcca_sum"))


def _tensorboard(directory: Path) -> Any:
    """Return a TensorBoard writer, or None where the viz extra is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory))
