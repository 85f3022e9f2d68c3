"""Real worker processes: one that dies, a driver that is killed or stopped, two runs at once, and workers that cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from annotate_results import Heard, here, rows
from light_predictor import DEADLY, DEADLY_BATCH, NONE, ONCE, ONCE_DEADLY, PIPE, WAITS

from fiducia.annotate.job import Job
from fiducia.annotate.local import run_local
from fiducia.annotate.parts import done_chunks
from fiducia.annotate.run import annotate
from fiducia.cli import main
from fiducia.errors import FiduciaError
from networks import small, write_small

Write = Callable[[Sequence[int]], Path]
DEADLINE = 60.0


def test_photographs_that_kill_their_worker_are_narrowed_down(
    photographs: Write, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ONCE, str(tmp_path / "once"))
    heights = [40, DEADLY, 40, DEADLY_BATCH, ONCE_DEADLY, 40, NONE]
    folder = photographs(heights)
    heard = Heard()
    annotate([str(folder)], job, lambda job, chunks: run_local(job, chunks, 1), heard, 7)
    found = rows(job.out, "photographs")
    assert [row["status"] == "failed" for row in found] == [height in (DEADLY, DEADLY_BATCH) for height in heights]
    assert found[1]["error"] == f"{folder}/001.png: given up: 2 workers ended while it was read or computed"
    assert [row["faces"] for row in found] == [1, 0, 1, 0, 1, 1, 0]
    assert [row["position"] for row in rows(job.out, "faces")] == [0, 2, 4, 5]
    assert [len(report.failed) for report in heard.reports] == [2]
    assert not (job.folder / ".work").exists()


def test_workers_that_cannot_start_end_the_run_in_one_line(photographs: Write, job: Job, tmp_path: Path) -> None:
    plugin = tmp_path / "ends.py"
    plugin.write_text("import os\nos._exit(7)\n")
    job = replace(job, plugins=(str(plugin),))
    with pytest.raises(FiduciaError, match=r"workers end before they have loaded the weights \(status 7\)"):
        annotate([str(photographs([40] * 3))], job, lambda job, chunks: run_local(job, chunks, 2), Heard(), 1)


def start(folder: Path, job: Job) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "fiducia", "annotate", str(folder), "--out", job.out, "--plugin", *job.plugins]
    return subprocess.Popen(
        [*words, "--chunk", "2", "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_or_stopped_run_goes_on_and_a_second_one_is_refused(
    photographs: Write, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A pipe that nobody writes to holds one worker in its chunk while the other does the rest."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv(PIPE, str(pipe))
    folder = photographs([40, 40, 40, WAITS, 40, NONE, 40, 40, 40])
    first = start(folder, job)
    wait_for(lambda: done_chunks(job.folder) == {0, 2, 3, 4})
    workers = [int(word) for word in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()]
    assert len(workers) == 2

    second = start(folder, job)
    _, told = second.communicate(timeout=DEADLINE)
    assert second.returncode == 1
    assert told.startswith(f"fiducia: --out {job.out}: fiducia annotate (process {first.pid} on ")
    assert told.endswith("is writing into it; wait until it ends, or choose another\n")
    assert told.count("\n") == 1

    first.send_signal(number)
    _, told = first.communicate(timeout=DEADLINE)
    if number == signal.SIGTERM:
        assert first.returncode == 143
        assert told == "fiducia: stopped; 7 of 9 images are done and written; run the same command again to go on\n"
    wait_for(lambda: not any(map(alive, workers)))

    pipe.unlink()
    pipe.touch()
    third = start(folder, job)
    out, told = third.communicate(timeout=DEADLINE)
    assert (third.returncode, told) == (0, "fiducia: 7 images are done already; 2 are left\n")
    assert out.startswith(f"{job.out}: 8 faces in 9 images, no face in 1; ")
    whole = replace(job, out=f"{job.out}2")
    annotate([str(folder)], whole, here, Heard(), 2)
    for table in ("faces", "photographs"):
        assert rows(job.out, table) == rows(whole.out, table)
    assert [row["position"] for row in rows(job.out, "photographs")] == list(range(9))


def test_real_workers_load_real_weights(photographs: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, out = photographs([40, 60, 50]), tmp_path / "out"
    weights = write_small(tmp_path / "w.safetensors", small())
    words = ["annotate", str(folder), "--out", str(out), "--weights", str(weights), "--runtime", "torch"]
    words += ["--device", "cpu", "--workers", "1", "--detector"]
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words, "nosuch"])
    assert ended.value.code == 2
    assert "nosuch" in capfd.readouterr().err
    # Nothing was written: the folder is free for a detector that exists.
    with pytest.raises(SystemExit) as ended:
        main([*words, "whole"])
    assert capfd.readouterr().err == ""
    assert ended.value.code == 0
    assert [row["faces"] for row in rows(out, "photographs")] == [1, 1, 1]
    assert rows(out, "faces")[0]["weights"] == "t"
