"""Every command that computes takes --threads; the default is what the process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fiducia.cli import app
from fiducia.cpu import available_cpus, wanted_threads

NAMES_ONLY = {
    f"list {name}"
    for name in (
        "augmentations", "datasets", "decoders", "detectors", "losses", "recipes", "runtimes", "schedules", "schemes", "weights"
    )
}  # fmt: skip
"""These list what is registered, and compute nothing."""


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(group, typer.core.TyperGroup):
        for word, command in group.commands.items():
            yield from commands(command, f"{name} {word}".strip())
    else:
        yield name, group


def test_every_command_that_computes_takes_threads() -> None:
    without = {
        name
        for name, command in commands(typer.main.get_command(app))
        if not any("--threads" in option.opts for option in command.params)
    }
    assert without <= NAMES_ONLY


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "100000 100000"}, 1),
        ({"c/cpu.max": "100000 100000"}, 8),
        ({"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu.max": "no number"}, 8),
        ({"cpu.max": "100000 0"}, 8),
        ({}, 8),
    ],
)
def test_a_container_s_share_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text("12:memory:/c\n4:cpu,cpuacct:/a\n0::/a/b\n")
    assert available_cpus(tmp_path, own) == cpus
    assert available_cpus(tmp_path, tmp_path / "none") <= 8


def test_the_environment_s_number_is_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert wanted_threads() == 3
    for text in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert wanted_threads() == available_cpus()


def test_the_option_acts_before_torch_is_imported() -> None:
    body = (
        "import os, sys\nfrom fiducia.cli import main\n"
        "try:\n    main(['recipe', 'show', 'smoke', '--threads', '1'])\nexcept SystemExit: pass\n"
        "import cv2, torch\n"
        "print(torch.get_num_threads(), cv2.getNumThreads(), os.environ['OMP_NUM_THREADS'], os.environ['GOMP_SPINCOUNT'])\n"
    )
    own = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "OPENCV_FOR_THREADS_NUM")
    environment = {key: value for key, value in os.environ.items() if key not in own}
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "1 1 1 1000"
