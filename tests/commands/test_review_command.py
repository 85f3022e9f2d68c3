"""``fiducia data review`` and ``fiducia data diff`` as commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.data.source import label_writers, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.schemes.sets import get_scheme

pytest.importorskip("fastapi", reason="needs the extra serve")

from fiducia.review.session import open_review


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    path = tmp_path / "faces ö.json"
    label_writers["coco"](path, load_records(f"synthetic:3@{tmp_path / 'drawn'}", "train"))
    return path


def test_a_review_from_the_start_to_sigterm(faces: Path) -> None:
    before = faces.read_bytes()
    command = [
        sys.executable,
        "-m",
        "fiducia",
        "data",
        "review",
        f"coco:{faces}",
        "--port",
        "0",
        "--who",
        "anna",
        "--device",
        "cpu",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        found = re.fullmatch(r"3 faces; open (http://127\.0\.0\.1:\d+/)#(\S+)\n", line)
        try:
            assert found is not None, line
            client = httpx.Client(base_url=found[1], headers={"authorization": f"Bearer {found[2]}"})
            with client:
                table = client.get("v1/review").json()
                assert table["judged"] == "fifa_tiny"
                assert [row["rank"] for row in table["faces"]] == [0, 1, 2]
                scores = [row["score"] for row in table["faces"]]
                assert scores == sorted(scores, reverse=True)
                image = client.get("v1/faces/0/image")
                assert image.content.startswith(b"\xff\xd8")
                edit = {"points": [{"point": 0, "x": 12.5, "y": 13.25, "visible": 2}]}
                assert client.post("v1/faces/0/edit", json=edit).json()["edited"] is True
                client.post("v1/faces/1/verdict", json={"event": "reject"})
            with pytest.raises(FiduciaError, match="another process reviews this data set"):
                open_review(f"coco:{faces}", lambda records: (None, {}))
        finally:
            running.send_signal(signal.SIGTERM)
            rest, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    assert "1 rejected, 1 edited; journal: " in rest
    assert len((faces.parent / "faces ö.json.rejected.txt").read_text().splitlines()) == 1
    assert (faces.parent / "faces ö.json.orig").read_bytes() == before

    done = CliRunner().invoke(app, ["data", "diff", f"coco:{faces}.orig", f"coco:{faces}", "--json"])
    assert done.exit_code == 1
    table = json.loads(done.stdout)
    (face,) = table["changed"]
    assert list(face["moved"]) == [get_scheme("ibug68").names[0]]
    assert CliRunner().invoke(app, ["data", "diff", f"coco:{faces}", f"coco:{faces}"]).exit_code == 0
    broken = faces.with_name("broken.json")
    broken.write_text("{")
    assert CliRunner().invoke(app, ["data", "diff", f"coco:{faces}", f"coco:{broken}"]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["synthetic:2@{}"], 2, "cannot be changed in place"),
        (["coco:{}/none.json"], 1, "no such file or folder"),
        (["coco:{}/faces ö.json", "--weights", "none", "--weights", "fifa_tiny"], 2, "goes alone"),
        (["coco:{}/faces ö.json", "--weights", "no_such_weights"], 2, "no_such_weights"),
    ],
)
def test_wrong_use(faces: Path, words: list[str], status: int, told: str) -> None:
    done = CliRunner().invoke(app, ["data", "review", *(word.format(faces.parent) for word in words), "--port", "0"])
    assert isinstance(done.exception, FiduciaError)
    assert isinstance(done.exception, UsageError) == (status == 2)
    assert told in str(done.exception)
    assert not (faces.parent / "faces ö.json.review.jsonl").exists()
