"""The page of points and measures: its example runs, its pictures are those that the code draws."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from fiducia.images import read_image

from .pages import DOCS, ROOT


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
