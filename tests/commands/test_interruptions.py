"""Ctrl-C and SIGTERM, a full disk, a lost folder, names in no encoding: one line, what is done stays, the right status."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fiducia.cli import main
from fiducia.commands.interrupts import interruptible
from fiducia.errors import Interrupted
from networks import small, write_small

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def photographs(folder: Path, count: int) -> list[Path]:
    """Write a picture and hard links of it."""
    folder.mkdir(parents=True)
    first = folder / "000.png"
    cv2.imwrite(str(first), np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
    paths = [folder / f"{number:03d}.png" for number in range(count)]
    for path in paths[1:]:
        path.hardlink_to(first)
    return paths


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_detect_is_stopped_in_one_line_and_goes_on(tmp_path: Path, number: int, status: int) -> None:
    """A pipe that nobody writes to holds the run where it is: behind one batch that is written."""
    paths = photographs(tmp_path / "in", 40)
    pipe, out = tmp_path / "pipe.png", tmp_path / "out"
    os.mkfifo(pipe)
    words = [
        "--weights",
        str(write_small(tmp_path / "small.safetensors", small())),
        "--detector",
        "whole",
        "--device",
        "cpu",
    ]
    words += ["--format", "json,csv,jsonl", "--out", str(out)]
    order = [*map(str, paths[:35]), str(pipe), *map(str, paths[35:])]
    process = subprocess.Popen(
        [sys.executable, "-m", "fiducia", "detect", *order, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(32):
        assert "1 face" in process.stdout.readline()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert told == "fiducia: stopped; 32 of 41 images are done and written; go on with --resume\n"
    assert sorted(path.name for path in out.glob("*.json")) == [f"{i:03d}.json" for i in range(32)]
    assert not [path for path in out.iterdir() if path.name.endswith(".tmp")]
    assert not (out / "faces.csv").exists()
    assert run(["detect", *map(str, paths), *words, "--resume"]) == 0
    names = [f"{i:03d}.png" for i in range(40)]
    rows = list(csv.DictReader((out / "faces.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (out / "faces.jsonl").read_text().splitlines()]
    assert [Path(row["image"]).name for row in rows] == names
    assert [Path(line["image"]).name for line in lines] == names
    assert lines[3] == json.loads((out / "003.json").read_text())
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def signals_itself(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    pytest.fail("the signal did not end the command")


COMMANDS: dict[str, tuple[str, list[str], str]] = {
    "evaluate": (
        "fiducia.evaluation.evaluate.find_shared",
        ["evaluate", "--weights", "fifa_tiny", "--data", "synthetic:8", "--json", "OUT/r.json"],
        "stopped; no result is written; run the same command again",
    ),
    "convert": (
        "fiducia.data.formats.coco.write_atomic",
        ["data", "convert", "synthetic:4", "--to", "coco", "--out", "OUT/faces.json"],
        "faces.json is not complete; run the same command again",
    ),
    "suspects": (
        "fiducia.inspect.suspects.train",
        ["data", "suspects", "synthetic:8", "--folds", "2", "--out", "OUT"],
        "stopped; 0 of 2 folds are finished; run the same command again, which does the rest",
    ),
    "reproduce": (
        "fiducia.reproduce.run.train",
        ["reproduce", "table3", "--data", "synthetic:8", "--rows", "vanilla", "--out", "OUT"],
        "stopped; 0 finished runs of table3 in OUT; the same command again does the rest",
    ),
    "export": (
        "fiducia.evaluation.exporting.write",
        ["export", "--weights", "fifa_tiny", "--out", "OUT/graph.onnx"],
        "graph.onnx was not written; run the same command again",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_other_commands_are_stopped_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    inner, words, told = COMMANDS[name]
    if name == "export":
        pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "graph.onnx").write_bytes(b"an older export")
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(inner, signals_itself)
    assert run([word.replace("OUT", str(out)) for word in words]) == 143
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("fiducia: stopped; ")
    assert last.endswith(told.replace("OUT", str(out)))
    assert signal.getsignal(signal.SIGTERM) is before
    assert (out / "graph.onnx").read_bytes() == b"an older export"
    assert not [path for path in out.rglob("*") if "fiducia-" in path.name]


def test_an_armed_stop_waits_for_the_second_signal() -> None:
    def both_signals() -> None:
        with interruptible(lambda: "1 done") as stop:
            stop.armed = True
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.signal == signal.SIGINT
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the second signal did not end the block")

    with pytest.raises(Interrupted, match=r"^stopped; 1 done$") as caught:
        both_signals()
    assert caught.value.status == 143


@pytest.fixture
def detect(tmp_path: Path) -> Callable[..., int]:
    weights = write_small(tmp_path / "small.safetensors", small())

    def start(*words: object) -> int:
        known = ["--weights", str(weights), "--detector", "whole", "--device", "cpu", "--out", str(tmp_path / "out")]
        return run(["detect", *map(str, words), *known])

    return start


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("full", ["034.json", "faces.jsonl", "faces.csv"])
def test_a_full_disk_ends_the_run_in_one_line_and_what_is_done_stays(
    tmp_path: Path, detect: Callable[..., int], capfd: pytest.CaptureFixture[str], full: str
) -> None:
    paths = photographs(tmp_path / "in", 36)
    out = tmp_path / "out"
    out.mkdir()
    (out / full).symlink_to("/dev/full")
    assert detect(*paths, "--format", "json,jsonl,csv") == 1
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "No space left on device" in told
    assert full in told
    done = {"034.json": 34, "faces.jsonl": 1, "faces.csv": 36}[full]
    assert len([path for path in out.glob("*.json") if not path.is_symlink()]) == done
    (out / full).unlink()
    assert detect(*paths, "--format", "json,jsonl,csv", "--resume") == 0
    assert len((out / "faces.csv").read_text().splitlines()) == 37


def test_a_folder_of_results_that_is_gone_ends_the_run(
    tmp_path: Path,
    detect: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fiducia.predict.predictor import Predictor

    paths, real, calls = photographs(tmp_path / "in", 70), Predictor.predict, []

    def predict(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            shutil.rmtree(tmp_path / "out")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Predictor, "predict", predict)
    assert detect(*paths, "--format", "json") == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert "was removed" in told
    assert "32 of 70 images are done" in told
    assert not (tmp_path / "out").exists(), "it is not made anew, with half of the results"


NAMES = """
import os, sys
from fiducia.cli import main
os.chdir(sys.argv[1])
odd = os.fsdecode(b"caf\\xe9")
weights = "small.safetensors"
for words in (
    ["detect", odd + ".png", "--weights", weights, "--detector", "whole", "--out", "out", "--format",
     "json,jsonl,png,pts,csv,coco"],
    ["detect", odd + "-none.png", "--weights", weights],
    ["data", "check", "json:" + odd],
    ["data", "convert", "json:" + odd, "--to", "coco", "--out", odd + "/again.json"],
    ["evaluate", "--weights", weights, "--data", "json:" + odd, "--split", "all",
     "--json", odd + "/result.json"],
    ["evaluate", "--weights", weights, "--data", "json:" + odd + "-none", "--split", "all"],
    ["weights", "info", odd + ".safetensors"],
    ["recipe", "show", odd + ".toml"],
):
    try:
        main(words)
    except SystemExit as ended:
        print("STATUS", ended.code or 0)
"""


def test_names_in_no_encoding_end_no_command(tmp_path: Path) -> None:
    """A byte that is no UTF-8, on streams that refuse what they cannot encode."""
    odd = os.fsdecode(b"caf\xe9")
    write_small(tmp_path / "small.safetensors", small())
    (tmp_path / f"{odd}.png").hardlink_to(photographs(tmp_path / "in", 1)[0])
    faces = tmp_path / odd
    faces.mkdir()
    (faces / "a.png").hardlink_to(tmp_path / f"{odd}.png")
    points = [[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]]
    face = {"points": points, "box": [5, 5, 35, 35], "scheme": "five", "id": 0}
    (faces / "a.json").write_text(json.dumps({"image": "a.png", "width": 60, "height": 40, "faces": [face]}))
    environment = {**ENVIRONMENT, "LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        [sys.executable, "-c", NAMES, str(tmp_path)], capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    statuses = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("STATUS")]
    assert statuses[:5] == ["0", "1", "0", "0", "0"], done.stdout + done.stderr
    assert len(statuses) == 8
    assert "0" not in statuses[5:]
    assert done.stderr.count("\\xe9") + done.stderr.count("\\udce9") >= 4, "each error names its file"
    assert "caf\\xe9.png: 1 face" in done.stdout
    assert (tmp_path / "out" / f"{odd}.pts").is_file()
    assert len((tmp_path / "out" / "faces.csv").read_bytes().splitlines()) == 2
