"""The fuzz job counts what is wrong, ends what hangs, and finds nothing wrong in photographs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fiducia.errors import FiduciaError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return pytest.importorskip("fuzz")


def fail(error: Exception) -> Any:
    def read(_: object) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "complaint", "outcome"),
    [
        (lambda _: 1, "", "read"),
        (lambda _: 1, "the decoder complains", "read as whole"),
        (fail(FiduciaError("x: is damaged")), "", "refused"),
        (fail(FiduciaError("x: is\ndamaged")), "", "traceback"),
        (fail(FiduciaError("x: not enough memory")), "", "memory"),
        (fail(MemoryError()), "", "memory"),
        (fail(KeyError("x")), "", "traceback"),
    ],
)
def test_every_outcome_is_told_apart(fuzz: Any, read: Any, complaint: str, outcome: str) -> None:
    kind = fuzz.Kind(lambda random: ("a file", b""), read, lambda given, found: complaint)
    assert fuzz.try_one(kind, "1")["outcome"] == outcome


def test_a_child_that_hangs_or_crashes_is_ended_and_the_next_input_is_tried(
    fuzz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fuzz.py").write_text((BENCHMARKS / "fuzz.py").read_text())
    (tmp_path / "fuzz_three.py").write_text(
        "import os, time, __main__\n"
        "KIND = None\n"
        "def try_one(kind, seed):\n"
        "    number = int(seed.split()[-1])\n"
        "    if number == 1: time.sleep(600)\n"
        "    if number == 2: os._exit(9)\n"
        "    return {'name': 'n', 'outcome': 'read', 'text': ''}\n"
        "__main__.try_one = try_one\n"
    )
    monkeypatch.setattr(fuzz, "PATIENCE", 3.0)
    monkeypatch.setattr(fuzz, "__file__", str(tmp_path / "fuzz.py"))
    outcomes = [answer["outcome"] for answer in fuzz.run("three", "1", 0, 4)]
    assert outcomes == ["read", "hang", "crash", "read"]
    assert fuzz.report("three", "1", [{"outcome": "hang", "peak": 0, "number": 1, "name": "n", "text": ""}], 1.0) == 1


def test_photographs() -> None:
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), "7", "60", "photographs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 inputs" in done.stdout
    assert "0 traceback, 0 crash, 0 hang, 0 memory, 0 read as whole" in done.stdout
