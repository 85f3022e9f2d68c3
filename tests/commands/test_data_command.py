from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from fiducia.commands.data import app
from fiducia.data.formats.pts import write_pts
from fiducia.data.source import load_records
from fiducia.errors import UsageError
from fiducia.images import read_image

run = CliRunner().invoke


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    grid = np.stack(np.meshgrid(np.linspace(20, 60, 17), np.linspace(20, 60, 4)), axis=-1).reshape(68, 2)
    for name in ("a", "b", "c"):
        (folder / f"{name}.png").write_bytes(cv2.imencode(".png", np.full((80, 80, 3), 200, np.uint8))[1].tobytes())
        write_pts(folder / f"{name}.pts", grid)
    return folder


def test_preview_writes_a_sheet(root: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["preview", f"pts:{root}", "--out", str(sheet), "--recipe", "smoke", "--epochs", "1,3", "--faces", "2"]
    result = run(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{sheet}: 2 faces at epochs 1, 3\n"
    image = read_image(sheet)
    assert image.shape[0] > 2 * 96
    assert image.shape[1] > 2 * 96


def test_preview_takes_only_epochs(root: Path, tmp_path: Path) -> None:
    result = run(app, ["preview", f"pts:{root}", "--out", str(tmp_path / "x.png"), "--epochs", "1,zwei"])
    assert isinstance(result.exception, UsageError)
    assert "expected numbers from 1" in str(result.exception)


def test_convert_there_and_back(root: Path, tmp_path: Path) -> None:
    for source, to, out in (
        (f"pts:{root}", "coco", tmp_path / "f.json"),
        (f"coco:{tmp_path / 'f.json'}", "csv", tmp_path / "f.csv"),
        (f"csv:{tmp_path / 'f.csv'}", "pts", tmp_path / "back"),
    ):
        result = run(app, ["convert", source, "--to", to, "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{out}: 3 faces\n"
    before, after = load_records(f"pts:{root}", "all"), load_records(f"pts:{tmp_path / 'back'}", "all")
    assert [r.id for r in before] == [r.id for r in after]
    assert all((a.xy == b.xy).all() for a, b in zip(before, after, strict=True))


def test_convert_changes_the_landmark_set_and_knows_its_formats(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "five.csv"
    assert run(app, ["convert", f"pts:{root}", "--to", "csv", "--out", str(out), "--scheme", "five"]).exit_code == 0
    assert load_records(f"csv:{out}", "all")[0].scheme == "five"
    result = run(app, ["convert", f"pts:{root}", "--to", "cocoa", "--out", str(out)])
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'coco'?" in str(result.exception)


def test_the_module_imports_nothing_heavy() -> None:
    code = "import sys, fiducia.commands.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
