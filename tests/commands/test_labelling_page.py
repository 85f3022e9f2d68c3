"""The guide to the labelling loop, its commands run as they stand on the page; a script takes the person's place."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.data.source import load_records

pytest.importorskip("fastapi", reason="needs the extra serve")

import httpx

PAGE = Path(__file__).parents[2] / "docs" / "labelling.md"
BLOCK = re.compile(r"(?:Save as `([\w.]+)`:\n\n)?^( *)```(sh|python)\n(.*?)^\2```", re.DOTALL | re.MULTILINE)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def commands() -> Iterator[tuple[str, str]]:
    """Yield the page's files by name, and its commands under an empty name, in their order."""
    for name, _, language, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            assert name, "a block of Python is saved"
            yield name, body
        else:
            yield from (("", line.strip()) for line in body.replace("\\\n", " ").splitlines() if line.strip())


def fiducia(line: str) -> tuple[int, str]:
    """Run a command in this process, which has imported everything; return its status and standard output."""
    command, _, target = line.partition(" > ")
    done = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if target:
        Path(target.strip()).write_text(done.stdout, encoding="utf-8")
    return done.exit_code, done.stdout


def review(line: str) -> str:
    """Run a review: move a landmark of the first face, reject the second, end it. Return what it printed."""
    words = [sys.executable, "-m", "fiducia", *shlex.split(line)[1:], "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        found = re.search(r"open (http://\S+/)#(\S+)", first)
        try:
            assert found is not None, first
            with httpx.Client(base_url=found[1], headers={"authorization": f"Bearer {found[2]}"}, timeout=60) as client:
                face = client.get("v1/faces/0").json()
                x, y = face["points"][30]
                change = {"points": [{"point": 30, "x": x + 3, "y": y - 4, "visible": 2}]}
                client.post("v1/faces/0/edit", json=change).raise_for_status()
                client.post("v1/faces/1/verdict", json={"event": "reject"}).raise_for_status()
        finally:
            running.send_signal(signal.SIGTERM)
            rest, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    return first + rest


def correct_in_cvat() -> None:
    """Do what a person does in CVAT: move the nose tip of one face, hide its neighbour, export beside the images."""
    text = Path("cvat_upload.xml").read_text(encoding="utf-8")
    assert 'name="train/00000.png"' in text
    text, count = re.subn(r'(label="nose_tip"[^/]*?points=")[\d.]+,', r"\g<1>12.5,", text, count=1)
    assert count == 1
    Path("photos/annotations.xml").write_text(text, encoding="utf-8")


def correct_in_label_studio() -> None:
    """Do what a person does in Label Studio: move a point of one face, submit all tasks, export."""
    tasks = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [{"id": task["id"], "result": task.pop("predictions")[0]["result"]}]
    point = next(r for r in tasks[2]["annotations"][0]["result"] if r["type"] == "keypointlabels")
    point["value"]["x"] += 2.0
    Path("labelled.json").write_text(json.dumps(tasks), encoding="utf-8")


@pytest.mark.slow
def test_the_guide_from_the_first_command_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []
    for name, text in commands():
        if name:
            Path(name).write_text(text, encoding="utf-8")
            continue
        if text.startswith("fiducia data review"):
            told = review(text)
            assert "8 faces; open" in told
            assert "7 open, 0 accepted, 1 rejected, 1 edited" in told
            continue
        if text == "fiducia data check cvat:photos/annotations.xml":
            correct_in_cvat()
        elif text == "fiducia data check labelstudio:labelled.json":
            correct_in_label_studio()
        if text.startswith("fiducia "):
            status, out = fiducia(text)
            assert status == int(" data diff " in text), f"{text}\n{out}"
            seen.append((text, out))
        else:
            words = ["bash", "-ec", text.replace("python ", f"{shlex.quote(sys.executable)} ")]
            subprocess.run(words, check=True, env=ENVIRONMENT)
    assert len(seen) > 8

    changes = json.loads(Path("changes.json").read_text())
    assert (len(changes["changed"]), changes["added"], changes["removed"]) == (1, [], [])
    assert changes["changed"][0]["moved"] == {"nose_tip": pytest.approx(5)}
    diffs = [out for text, out in seen if " data diff " in text]
    assert all("1 changed, 1 points moved" in out and "0 added, 0 removed" in out for out in diffs if "{" not in out)
    corrected = load_records("coco:corrected.json", "all")
    assert sorted(abs(r.xy[30, 0] - 12.5) < 1e-9 for r in corrected) == [False] * 7 + [True]
    assert len(Path("pre/coco.json.rejected.txt").read_text().splitlines()) == 1
    # The labels of both programs are those of the landmark set.
    (skeleton,) = json.loads(Path("cvat_labels.json").read_text())
    assert len(skeleton["sublabels"]) == skeleton["svg"].count("<circle") == 68
    assert Path("label_studio.xml").read_text().count("<Label ") == 69
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics
