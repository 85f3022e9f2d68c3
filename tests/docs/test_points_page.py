"""The page of points and measures: its code runs, its pictures are those that the code draws."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path

import pytest

from fiducia.images import read_image

from .pages import DOCS, ROOT

BLOCK = re.compile(r"^(<!-- not run[^\n]*-->\n)?```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "assets/astronaut.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    blocks = [code for skipped, code in BLOCK.findall((DOCS / "points.md").read_text(encoding="utf-8")) if not skipped]
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for code in blocks:
        exec(compile(code, "points.md", "exec"), names)
    assert (tmp_path / "cvat.xml").is_file()
    assert (tmp_path / "tasks.json").is_file()
    assert names["crop"].shape == (224, 224, 3)  # type: ignore[attr-defined]
    assert len(names["rows"]) == 68  # type: ignore[arg-type]


def test_the_example_writes_a_crop_a_cut_out_face_and_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(ROOT / "examples/points.py"))["main"](str(ROOT / "assets/astronaut.jpg"), str(tmp_path))
    assert read_image(tmp_path / "aligned.png").shape == (112, 112, 3)
    cut = read_image(tmp_path / "face_only.png")
    assert 0.005 < cut.any(axis=2).mean() < 0.2
    assert len(json.loads((tmp_path / "coco.json").read_text())["annotations"]) == 1
    assert "HeadPose(yaw=" in capsys.readouterr().out


def test_the_charts_are_those_of_the_schemes() -> None:
    from scheme_pictures import FOLDER, charts

    drawn = charts()
    assert {path.name for path in FOLDER.iterdir()} == set(drawn)
    text = (DOCS / "schemes.md").read_text(encoding="utf-8")
    for name, svg in drawn.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == svg, f"run tools/docs/scheme_pictures.py for {name}"
        assert f"images/schemes/{name}" in text
        assert svg.count("<circle") >= len(set(re.findall(r"<title>(\d+ \w+)", svg)))
