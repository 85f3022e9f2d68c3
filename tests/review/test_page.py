"""The page of a review in headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducia.data.source import load_records
from fiducia.review.session import Review, open_review
from fiducia.structures import Record

from .conftest import PLANTED, SWAPPED, guess, planted, serving, written

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOTS = os.environ.get("FIDUCIA_SHOTS")
"""A folder in which each test leaves its screenshot, to be looked at."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        one = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield one
        one.close()


@pytest.fixture
def review(tmp_path: Path, drawn: list[Record]) -> Iterator[Review]:
    path = written(tmp_path, "coco", planted(drawn))
    one = open_review(f"coco:{path}", guess(drawn), who="anna", judged="a network")
    yield one
    one.close()


@pytest.fixture
def page(browser: Any, review: Review, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the page in a browser that reaches nothing but the review; errors in its console fail the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **getattr(request, "param", {})})
    elsewhere: list[str] = []
    problems: list[str] = []
    with serving(review) as url:

        def guard(route: Any) -> None:
            if not route.request.url.startswith((url.partition("#")[0], "blob:", "data:")):
                elsewhere.append(route.request.url)
                route.abort()
                return
            route.continue_()

        context.route("**/*", guard)
        one = context.new_page()
        one.set_default_timeout(20_000)
        one.on("pageerror", lambda error: problems.append(str(error)))
        # Answers that a test asks for: refusals, and requests that it cuts off.
        meant = ("status of", "net::ERR_FAILED")
        one.on(
            "console",
            lambda m: problems.append(m.text) if m.type == "error" and not any(w in m.text for w in meant) else None,
        )
        one.goto(url)
        shown(one)
        yield one
        if SHOTS:
            one.screenshot(path=f"{SHOTS}/review_{request.node.name.partition('[')[0]}.png")
        context.close()
    assert problems == []
    assert elsewhere == []


def shown(page: Any, name: str | None = None) -> None:
    """Wait until a face is on the page."""
    page.wait_for_selector(".label", state="attached")
    if name is not None:
        page.locator("#name", has_text=name).wait_for()
    page.wait_for_selector(".pane:not(.busy)")


def middle(page: Any, k: int) -> tuple[float, float]:
    # A point that is drawn anew at this moment has no box.
    spot = None
    while spot is None:
        spot = page.locator(f'.label[data-point="{k}"]').bounding_box()
    return spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2


def label(review: Review, k: int) -> tuple[float, float, int]:
    """Return a point of the planted face as the file has it."""
    record = load_records(review.source, "all")[PLANTED]
    return (*record.xy[k].tolist(), int(record.visible[k]))


def events(review: Review) -> list[str]:
    path = review.journal.path
    return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []


def until(page: Any, review: Review, wanted: int | Callable[[], bool]) -> None:
    """Wait until the journal holds so many entries, or until something is so; the page goes on meanwhile."""
    done = wanted if callable(wanted) else lambda: len(events(review)) >= wanted
    for _ in range(1000):
        if done():
            page.wait_for_selector(".pane:not(.busy)")
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{events(review)}; expected {wanted}")


def test_the_planted_face_is_shown_first_and_a_drag_is_saved(page: Any, review: Review, drawn: list[Record]) -> None:
    assert page.inner_text("#name") == drawn[PLANTED].id
    assert page.inner_text("#place") == "1 of 6"
    assert "× the usual disagreement" in page.inner_text("#facts")
    assert "ordered by a network" in page.inner_text("#state")
    assert page.locator(".label").count() == 68
    assert page.locator(".label.worst").count() == 2
    assert page.evaluate("location.hash") == "", "the token leaves the address"
    # The two points are dragged onto each other's places.
    places = {k: middle(page, k) for k in SWAPPED}
    for k, other in (SWAPPED, SWAPPED[::-1]):
        page.mouse.move(*places[k])
        if k == SWAPPED[1]:
            # Both lie there now; the one that is meant is chosen by name.
            page.mouse.move(*middle(page, k))
        page.mouse.down()
        page.mouse.move(*places[other], steps=5)
        page.mouse.up()
    until(page, review, 2)
    assert events(review) == ["edit", "edit"]
    moved = sum(np.hypot(*(np.array(label(review, k)[:2]) - drawn[PLANTED].xy[k])) < 1.5 for k in SWAPPED)
    assert moved >= 1
    assert "changed" in page.inner_text("#badge")


def test_a_point_that_is_held_is_not_taken_to_the_next_face(page: Any, review: Review, drawn: list[Record]) -> None:
    k = int(page.input_value("#point"))
    x, y = middle(page, k)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=4)
    page.keyboard.press("a")  # passed over: the labels are being changed
    page.evaluate("document.querySelector('#next').click()")  # as where the next face comes a moment after the grip
    page.locator("#place", has_text="2 of 6").wait_for()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()
    until(page, review, 1)
    page.keyboard.press("o")  # sent after whatever the pointer may have changed
    page.keyboard.press("a")
    until(page, review, lambda: "accept" in events(review))
    entries = [json.loads(line) for line in review.journal.path.read_text().splitlines()]
    first, second = (review.face(rank)[1].record.id for rank in (0, 1))
    assert [(one["event"], one["face"]) for one in entries] == [("edit", first), ("accept", second)]


def test_what_could_not_be_sent_is_sent_later(page: Any, review: Review) -> None:
    k = int(page.input_value("#point"))
    x, _, _ = label(review, k)
    page.route("**/edit", lambda route: route.abort())
    page.keyboard.press("Shift+ArrowRight")
    page.locator(".toast", has_text="does not answer").wait_for()
    page.unroute("**/edit")
    page.keyboard.press("Shift+ArrowRight")
    until(page, review, lambda: abs(label(review, k)[0] - x - 10) < 0.02)


def test_keys_move_a_point_and_undo_takes_it_back(page: Any, review: Review) -> None:
    before = Path(review.source.partition(":")[2]).read_bytes()
    k = int(page.input_value("#point"))
    assert k in SWAPPED
    x, y, code = label(review, k)
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    wanted = (pytest.approx(x + 1, abs=0.006), pytest.approx(y + 4.5, abs=0.006), code)
    until(page, review, lambda: label(review, k) == wanted)
    # Keys that follow one another within 0.7 s are one change; on a busy machine there may be more.
    for _ in events(review):
        page.keyboard.press("z")
    until(page, review, lambda: Path(review.source.partition(":")[2]).read_bytes() == before)
    page.locator("#badge:text-is('open')").wait_for()


def test_a_key_moves_along_one_axis_and_the_other_keeps_its_bytes(page: Any, review: Review) -> None:
    path = Path(review.source.partition(":")[2])
    k = int(page.input_value("#point"))

    def words() -> list[str]:
        """Return the numbers of the planted face as they are written."""
        numbers = path.read_text().split('"keypoints": [')[1 + PLANTED].partition("]")[0]
        return [word.strip() for word in numbers.split(",")]

    before, after = words(), words
    x, y, _ = label(review, k)
    assert len(before[3 * k]) > 8, "digits that rounding would lose"
    assert len(before[3 * k + 1]) > 8
    page.keyboard.press("ArrowRight")
    until(page, review, 1)
    assert [i for i, (one, other) in enumerate(zip(before, after(), strict=True)) if one != other] == [3 * k]
    page.keyboard.press("Shift+ArrowUp")
    until(page, review, 2)
    assert float(after()[3 * k + 1]) == pytest.approx(y - 5, abs=0.006)
    assert float(after()[3 * k]) == pytest.approx(x + 0.5, abs=0.006)


def test_tab_walks_through_the_points_and_escape_lets_go(page: Any) -> None:
    k = int(page.input_value("#point"))
    page.keyboard.press("Tab")
    assert int(page.input_value("#point")) == (k + 1) % 68
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert int(page.input_value("#point")) == (k - 1) % 68
    page.keyboard.press("f")
    assert page.inner_text("#level") == "500 %"
    page.keyboard.press("0")
    assert page.inner_text("#level") == "100 %"
    page.keyboard.press("Escape")
    assert page.input_value("#point") == ""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "accept"


def test_visibility_by_key_and_by_button(page: Any, review: Review, drawn: list[Record]) -> None:
    page.select_option("#point", "30")
    page.focus(".pane svg")
    page.keyboard.press("v")
    until(page, review, 1)
    assert label(review, 30)[2] == 1
    page.click("#codes button:has-text('absent')")
    until(page, review, 2)
    assert label(review, 30)[2] == 0
    assert page.locator(".label").count() == 67
    page.click("#codes button:has-text('visible')")
    until(page, review, 3)
    # A point that comes back starts from the prediction.
    assert label(review, 30)[:2] == pytest.approx(drawn[PLANTED].xy[30].tolist(), abs=2)
    assert page.locator(".label").count() == 68


def test_accept_and_reject_go_on_to_the_next_open_face(page: Any, review: Review, drawn: list[Record]) -> None:
    names = [review.face(rank)[1].record.id for rank in range(6)]
    page.keyboard.press("a")
    shown(page, names[1])
    page.keyboard.press("r")
    shown(page, names[2])
    assert events(review) == ["accept", "reject"]
    assert review.rejected.read_text() == f"{names[1]}\n"
    page.locator("#progress", has_text="2 of 6 done").wait_for()
    page.select_option("#filter", "rejected")
    assert page.locator("#faces button").count() == 1
    page.click("#faces button")
    shown(page, names[1])
    page.keyboard.press("o")
    until(page, review, 3)
    page.locator("#badge", has_text="open").wait_for()
    page.keyboard.press("Control+z")
    until(page, review, 4)
    page.locator("#badge", has_text="rejected").wait_for()
    page.select_option("#filter", "all")
    page.keyboard.press("n")
    shown(page, names[2])
    page.keyboard.press("b")
    shown(page, names[1])
    page.keyboard.press("PageUp")
    shown(page, names[0])


def test_the_prediction_is_used_for_all_points(page: Any, review: Review, drawn: list[Record]) -> None:
    page.keyboard.press("Shift+P")
    until(page, review, 1)
    np.testing.assert_allclose(load_records(review.source, "all")[PLANTED].xy, drawn[PLANTED].xy, atol=3)
    page.keyboard.press("d")
    assert page.locator(".guess").count() == 0
    page.keyboard.press("l")
    assert page.locator(".bones").count() == 0


def test_a_file_that_was_changed_elsewhere_is_told_and_the_old_place_shown(page: Any, review: Review) -> None:
    path = Path(review.source.partition(":")[2])
    path.write_bytes(path.read_bytes() + b"\n")
    k = int(page.input_value("#point"))
    x, _ = middle(page, k)
    page.keyboard.press("Shift+ArrowRight")
    toast = page.wait_for_selector(".toast[role=alert]")
    assert "another program has changed it" in toast.inner_text()
    page.wait_for_function(
        f"Math.abs(document.querySelector('[data-point=\"{k}\"]').getBoundingClientRect().x - {x}) < 9"
    )
    page.click(".toast button")


def test_the_wheel_zooms_and_the_background_is_dragged(page: Any, review: Review) -> None:
    x, y = middle(page, 8)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.locator("#level:not(:text-is('100 %'))").wait_for()
    assert middle(page, 8) == (pytest.approx(x, abs=3), pytest.approx(y, abs=3))
    box = page.locator("#pane").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + box["height"] - 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + box["height"] - 70, steps=4)
    page.mouse.up()
    assert middle(page, 8) == (pytest.approx(x + 50, abs=6), pytest.approx(y - 40, abs=6))
    assert events(review) == []


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_dark_mode(page: Any) -> None:
    def brightness() -> float:
        colour = page.evaluate("getComputedStyle(document.querySelector('aside')).backgroundColor")
        return sum(int(v) for v in colour.removeprefix("rgb(").rstrip(")").split(",")) / 3

    assert brightness() < 60
    page.click("#theme")
    assert brightness() > 200
    page.click("#theme")


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}, "has_touch": True}], indirect=True)
def test_the_width_of_a_phone(page: Any, review: Review) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("scrollY") == 0, "the image is in sight"
    page.touchscreen.tap(*middle(page, 30))
    assert page.input_value("#point") == "30"
    page.click("#accept")
    page.locator("#progress", has_text="1 of 6 done").wait_for()


def test_the_token_is_needed(page: Any, browser: Any, review: Review) -> None:
    import httpx

    base = page.url
    assert httpx.get(f"{base}v1/review").status_code == 401
    assert httpx.get(base).status_code == 200
    mine = {"authorization": "Bearer token-of-this-test"}
    foreign = {**mine, "origin": "https://example.org"}
    assert httpx.post(f"{base}v1/undo", json={}, headers=foreign).status_code == 403
    assert httpx.get(f"{base}v1/faces/99", headers=mine).json()["error"]["code"] == "refused"
    bad = {"points": [{"point": 0, "x": 1, "y": 2, "visible": 7}]}
    answer = httpx.post(f"{base}v1/faces/0/edit", json=bad, headers=mine)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("points.0.visible:")
    other = browser.new_page()
    other.goto(base)
    other.wait_for_selector("#ask[open]")
    other.fill("#token", "token-of-this-test")
    other.keyboard.press("Enter")
    shown(other)
    other.close()


def test_a_face_without_its_image(browser: Any, tmp_path: Path, drawn: list[Record]) -> None:
    faces = planted(drawn)
    path = written(tmp_path, "csv", faces)
    text = path.read_text().replace(os.path.relpath(faces[PLANTED].image, tmp_path), "gone/é.png")
    path.write_text(text)
    review = open_review(f"csv:{path}", guess(drawn))
    with serving(review) as url:
        page = browser.new_page()
        page.goto(url)
        page.locator(".sorry:visible", has_text="no such file").wait_for()
        assert page.locator(".label").count() == 68
        page.close()
    review.close()
