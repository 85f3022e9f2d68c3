"""The line between two sets of points, dragged in headless Chromium in a page that is opened from a disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fiducia.data.synthetic.source import synthetic_face
from fiducia.evaluation.evaluate import Evaluation, judge
from fiducia.evaluation.report import compare_with, write_report
from fiducia.evaluation.report.others import as_other
from fiducia.evaluation.report.slider import labels_and_answers
from fiducia.images import write_image
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOTS = os.environ.get("FIDUCIA_SHOTS")
STAMP: dict[str, Any] = {
    **{"data": "synthetic", "split": "test", "crop_source": "landmarks", "crop_scale": 0.8, "decode": "none"},
    **{"size": 64, "runtime": "stub"},
}


def evaluated(folder: Path, name: str, off: float) -> Evaluation:
    """Return the evaluation of two drawn faces whose points are off by some pixels; of a third one nothing is found."""
    records = []
    for seed in range(3):
        picture, xy, visible = synthetic_face(seed, size=256)
        path = folder / f"{seed}.png"
        write_image(path, picture)
        records.append(Record(image=path, xy=xy, visible=visible, scheme="ibug68", tags={"id": f"f{seed}"}))
    found = np.stack([record.xy + np.array([off, 0.0]) for record in records])
    found[2] = np.nan
    return judge(records, found, get_scheme("ibug68"), stamp={**STAMP, "weights": name})


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    ours, theirs = evaluated(tmp_path, "ours", 4.0), evaluated(tmp_path, "theirs", 12.0)
    write_report(tmp_path / "report", ours, compare_with(ours, [as_other(theirs, "theirs")]))
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        one = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
        one.goto((tmp_path / "report" / "report.html").as_uri())
        yield one
        browser.close()


def coloured(page: Any, stage: Any) -> tuple[int, int]:
    """Return how many pixels of a face have the colour of the first points, and of the second."""
    picture = cv2.imdecode(np.frombuffer(stage.screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    near = [np.abs(picture.astype(int) - colour).max(axis=2) < 12 for colour in ((46, 230, 107), (255, 90, 74))]
    # Below stand the two names, in colours of their own.
    return int(near[0][:-40].sum()), int(near[1][:-40].sum())


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_line_is_dragged_by_mouse_and_keys_and_shows_one_set_on_each_side(page: Any) -> None:
    assert page.locator(".slider").count() == 4
    stage = page.locator(".slider .stage").first
    assert [span.inner_text() for span in stage.locator("span").all()] == ["ours", "theirs"]
    first, second = coloured(page, stage)
    assert min(first, second) > 50
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/report_slider.png", full_page=True)
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
    page.mouse.up()
    line = stage.locator("i").bounding_box()
    assert abs(line["x"] + line["width"] / 2 - box["x"] - 0.8 * box["width"]) < 4, "the line is below the mouse"
    more, less = coloured(page, stage)
    assert more > first
    assert less < second
    page.keyboard.press("End")
    first, second = coloured(page, stage)
    assert first > more
    assert second == 0
    page.keyboard.press("Home")
    assert coloured(page, stage)[0] == 0
    page.keyboard.press("ArrowRight")
    assert stage.locator("input").input_value() == "0.5"


def test_a_slide_has_the_points_where_they_are_in_the_crop(tmp_path: Path) -> None:
    (slide,) = labels_and_answers(evaluated(tmp_path, "ours", 4.0), [2, 1, 0], 1)
    assert slide.id == "f1", "a face that was not found is left out"
    assert slide.image.shape == (384, 384, 3)
    moved = slide.second - slide.first
    assert np.allclose(moved[:, 1], 0, atol=1e-9)
    # The tight box of the annotation fills 0.7 of the crop's side.
    width = np.ptp(slide.first, axis=0).max()
    assert width == pytest.approx(0.7 * 384)
    assert np.allclose(moved[:, 0], 4.0 * width / np.ptp(synthetic_face(1, size=256)[1], axis=0).max())
