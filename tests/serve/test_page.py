"""The page in headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHOTO = Path(__file__).parents[2] / "assets" / "astronaut.jpg"
SHOTS = os.environ.get("FIDUCIA_SHOTS")
"""A folder in which each test leaves its screenshot, to be looked at."""

SIZE = "(({{x, y, width, height}}) => ({{x, y, width, height}}))(document.querySelector('{}').getBBox())"
"""The box of an element in pixels of the picture."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start Chromium with a false camera that shows the photograph: frames of JPEG behind one another are a video."""
    video = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    frame = cv2.copyMakeBorder(cv2.imread(str(PHOTO)), 0, 0, 64, 64, cv2.BORDER_REPLICATE)
    video.write_bytes(cv2.imencode(".jpg", frame)[1].tobytes() * 10)
    with playwright.sync_playwright() as p:
        arguments = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        arguments.append(f"--use-file-for-fake-video-capture={video}")
        one = p.chromium.launch(executable_path=CHROMIUM, args=[*arguments, "--no-sandbox", "--disable-gpu"])
        yield one
        one.close()


@pytest.fixture
def page(browser: Any, live: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the page in a browser that reaches nothing but the server; errors in its console fail the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **getattr(request, "param", {})})
    context.grant_permissions(["camera"])
    elsewhere: list[str] = []

    def guard(route: Any) -> None:
        if not route.request.url.startswith((live, "blob:", "data:")):
            elsewhere.append(route.request.url)
            route.abort()
            return
        route.continue_()

    context.route("**/*", guard)
    one = context.new_page()
    one.set_default_timeout(20_000)
    problems: list[str] = []
    one.on("pageerror", lambda error: problems.append(str(error)))
    one.on("console", lambda m: problems.append(m.text) if m.type == "error" and "status of" not in m.text else None)
    one.goto(live)
    one.wait_for_selector("#state.good", state="attached")
    yield one
    if SHOTS:
        one.screenshot(path=f"{SHOTS}/{request.node.name.partition('[')[0]}.png")
    context.close()
    assert problems == []
    assert elsewhere == []


def upload(page: Any, *files: Path | str) -> None:
    page.set_input_files("#files", [str(file) for file in files])


def dots(page: Any) -> None:
    """Wait for points; a point is a stroke, which has no size of its own."""
    page.wait_for_selector(".dot", state="attached")


def test_an_uploaded_photograph_shows_its_points(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)
    assert page.locator(".dot").count() == 68
    assert page.inner_text("#count") == "1 face"
    assert "512 × 512" in page.inner_text("#facts")
    # The points lie on the face: their middle is inside the face's box, in the picture's own pixels.
    box = page.evaluate(SIZE.format("rect.box"))
    points = page.evaluate(SIZE.format(".dots-of-face"))
    assert abs(points["x"] + points["width"] / 2 - box["x"] - box["width"] / 2) < 0.2 * box["width"]


def test_hovering_tells_a_points_name_and_confidence(page: Any) -> None:
    upload(page, PHOTO)
    spot = page.wait_for_selector('.dot[data-point="30"]', state="attached").bounding_box()
    page.mouse.move(spot["x"] + spot["width"] / 2 + 1, spot["y"] + spot["height"] / 2 + 1)
    text = page.inner_text("#tip")
    assert "30 · nose tip" in text
    assert "confidence 0." in text or "confidence 1." in text
    page.mouse.move(5, 300)
    assert page.is_hidden("#tip")


def test_keys_walk_through_the_points_and_zoom(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)
    page.focus(".pane svg")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#tip").startswith("1 ·")
    page.keyboard.press("+")
    assert page.inner_text("#level") == "150 %"
    page.keyboard.press("0")
    assert page.inner_text("#level") == "100 %"
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")


def test_the_wheel_zooms_round_the_pointer(page: Any) -> None:
    upload(page, PHOTO)
    spot = page.wait_for_selector('.dot[data-point="30"]', state="attached").bounding_box()
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -800)
    page.locator("#level:not(:text-is('100 %'))").wait_for()
    after = page.locator('.dot[data-point="30"]').bounding_box()
    assert abs(after["x"] + after["width"] / 2 - x) < 3
    assert abs(after["y"] + after["height"] / 2 - y) < 3


def test_a_region_is_switched_off_and_on(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)
    page.click("#regions button:has-text('contour')")
    assert page.locator(".dot").count() == 51
    page.click("#layers button:has-text('lines')")
    assert page.locator(".edges").count() == 0
    page.click("#regions button:has-text('contour')")
    assert page.locator(".dot").count() == 68


def test_a_face_of_the_list_is_gone_to(page: Any) -> None:
    upload(page, PHOTO)
    page.click("#faces button")
    assert int(page.inner_text("#level").split()[0]) > 150
    assert page.locator(".face.chosen").count() == 1
    page.click("#faces button")
    assert page.inner_text("#level") == "100 %"
    assert page.locator(".face.chosen").count() == 0


def test_several_images(page: Any, tmp_path: Path) -> None:
    image = cv2.imread(str(PHOTO))
    cv2.imwrite(str(tmp_path / "two.png"), cv2.hconcat([image, image[:, ::-1]]))
    upload(page, PHOTO, tmp_path / "two.png")
    page.locator("#count", has_text="1 face").wait_for()
    assert page.locator("#strip button").count() == 2
    page.keyboard.press("PageDown")
    page.locator("#count", has_text="2 faces").wait_for()
    assert page.locator(".dot").count() == 136
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert page.locator(".face.chosen").get_attribute("data-face") == "1"
    tables = json.loads(download(page, "#json"))
    assert [len(table["faces"]) for table in tables] == [1, 2]


def test_a_download_waits_for_every_image(page: Any, tmp_path: Path) -> None:
    """Those whose answer was on its way were left out of the file, and so was the one behind an image that cannot be read."""
    held: list[Any] = []
    upload(page, PHOTO)
    dots(page)
    free: list[bool] = []
    page.route("**/v1/detect", lambda route: route.continue_() if free else held.append(route))
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(PHOTO.read_bytes())
    (tmp_path / "notes.jpg").write_text("this is no photograph")
    with page.expect_request("**/v1/detect"):
        upload(page, tmp_path / "b.jpg", tmp_path / "notes.jpg", tmp_path / "c.jpg")
    page.keyboard.press("PageUp")
    with page.expect_download() as started:
        page.click("#json")
        free.append(True)
        held[0].continue_()
    tables = json.loads(Path(started.value.path()).read_bytes())
    assert [table["image"] for table in tables] == ["astronaut.jpg", "b.jpg", "c.jpg"]


def test_two_weights_side_by_side(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)
    page.select_option("#compare", "fifa_small")
    page.locator(".pane:nth-child(2) .dot").first.wait_for(state="attached")
    assert page.locator(".dot").count() == 136
    assert page.locator(".pane").count() == 2
    spot = page.locator('.pane:nth-child(2) .dot[data-point="8"]').bounding_box()
    page.mouse.move(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    text = page.inner_text("#tip")
    assert "fifa_tiny 0." in text
    assert "fifa_small 0." in text
    assert "px apart" in text


def download(page: Any, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path()).read_bytes()


def test_downloads(page: Any, tmp_path: Path) -> None:
    from fiducia.data.source import load_records
    from fiducia.images import read_image

    upload(page, PHOTO)
    dots(page)
    table = json.loads(download(page, "#json"))
    assert (table["image"], table["width"], len(table["faces"][0]["points"])) == ("astronaut.jpg", 512, 68)
    (tmp_path / "astronaut.jpg").write_bytes(PHOTO.read_bytes())
    (tmp_path / "coco.json").write_bytes(download(page, "#coco"))
    (record,) = load_records(f"coco:{tmp_path / 'coco.json'}", "all")
    assert record.xy.tolist() == table["faces"][0]["points"]
    (annotation,) = json.loads((tmp_path / "coco.json").read_bytes())["annotations"]
    assert annotation["quality"] == table["faces"][0]["quality"]
    picture = read_image(download(page, "#png"))
    assert picture.shape == (512, 512, 3)
    assert (picture != read_image(PHOTO)).any()


def test_a_file_that_is_no_photograph_is_told(page: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("this is no photograph")
    upload(page, tmp_path / "notes.jpg")
    toast = page.wait_for_selector(".toast[role=alert]")
    assert "is no image that can be read" in toast.inner_text()
    page.click(".toast button")
    assert page.locator(".toast").count() == 0
    assert page.is_visible("#empty"), "the file is closed again"


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_dark_mode(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)

    def brightness() -> float:
        colour = page.evaluate("getComputedStyle(document.querySelector('aside')).backgroundColor")
        return sum(int(v) for v in colour.removeprefix("rgb(").rstrip(")").split(",")) / 3

    assert brightness() < 60
    page.click("#theme")
    assert brightness() > 200
    page.reload()
    page.wait_for_selector("#state.good")
    assert brightness() > 200, "the choice is kept"
    page.click("#theme")


def test_the_camera(page: Any) -> None:
    page.click("#camera")
    page.locator("#facts", has_text="1 face").wait_for()
    assert page.locator(".dot").count() == 68
    assert "pictures a second" in page.inner_text("#facts")
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/camera_live.png")
    page.click("#shoot")
    page.wait_for_selector("#results:not([hidden])")
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    assert page.inner_text("#count") == "1 face"


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}, "has_touch": True}], indirect=True)
def test_the_width_of_a_phone(page: Any) -> None:
    upload(page, PHOTO)
    dots(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    spot = page.locator('.dot[data-point="30"]').bounding_box()
    page.touchscreen.tap(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    assert page.is_visible("#tip")


def test_the_empty_page(page: Any) -> None:
    assert page.is_visible("#choose")
    assert page.locator("#weights option").count() == 2
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "open"


def test_a_server_with_a_token(browser: Any, engine: Any) -> None:
    from fiducia.serve.access import Access

    from .conftest import on_socket

    with on_socket(engine, Access("a-token-of-this-test")) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#ask[open]")
        page.fill("#token", "wrong-token-of-this-test")
        page.keyboard.press("Enter")
        page.wait_for_selector("#ask[open]")
        page.fill("#token", "a-token-of-this-test")
        page.keyboard.press("Enter")
        page.wait_for_selector("#state.good")
        upload(page, PHOTO)
        dots(page)
        page.close()
