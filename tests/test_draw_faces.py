"""Faces drawn over photographs: legible on any background, at any size, and as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from fiducia.data.synthetic.source import synthetic_face
from fiducia.draw.basics import confidence_colour
from fiducia.draw.faces import Style, draw_faces, face_sizes
from fiducia.draw.sheet import SIDE, faces_sheet, thumbnail
from fiducia.draw.svg import faces_svg
from fiducia.faces import Face
from fiducia.schemes.sets import get_scheme

SCHEME = get_scheme("ibug68")
SVG = "{http://www.w3.org/2000/svg}"


def a_face(side: int, confidence: float = 0.9, number: int = 0) -> Face:
    """Return the landmarks of a drawn face in a picture of this side."""
    _, xy, _ = synthetic_face(3, size=256)
    points = ((xy + 0.5) * side / 256 - 0.5).astype(np.float32)
    return Face(
        xy=points,
        confidence=np.full(68, confidence, np.float32),
        box=np.concatenate([points.min(0), points.max(0)]),
        scheme=SCHEME,
        score=0.98,
        id=number,
    )


@pytest.mark.parametrize("shade", [0, 90, 160, 255])
@pytest.mark.parametrize("side", [120, 700])
def test_a_line_stands_out_from_dark_and_bright_pictures(shade: int, side: int) -> None:
    face = a_face(side)
    image = draw_faces(np.full((side, side, 3), shade, np.uint8), [face], Style(box=False)).astype(float)
    # Across the middle of the long line from one point of the jaw to the next.
    a, b = face.xy[5], face.xy[6]
    normal = np.array([-(b - a)[1], (b - a)[0]]) / np.linalg.norm(b - a)
    sizes = face_sizes(float(np.ptp(face.xy, axis=0).max()))
    spots = [(a + b) / 2 + normal * offset for offset in np.linspace(-2 * sizes.line - 2, 2 * sizes.line + 2, 60)]
    values = np.array([image[round(float(y)), round(float(x))].mean() for x, y in spots])
    assert np.abs(values - shade).max() > 45
    if side > 500:
        # Bright core and dark rim, whatever lies beneath.
        assert values.max() >= max(shade, 150) - 1
        assert values.min() <= min(shade, 130) + 1


@pytest.mark.parametrize("side", [30, 60, 200, 2400])
def test_strokes_grow_with_the_face_and_leave_it_visible(side: int) -> None:
    face = a_face(side)
    before = np.full((side, side, 3), 120, np.uint8)
    after = draw_faces(before, [face])
    x1, y1, x2, y2 = face.box.round().astype(int)
    share = (np.abs(after.astype(int) - before).max(-1)[y1:y2, x1:x2] > 30).mean()
    assert 0.03 < share < (0.45 if side > 30 else 0.6)


def test_a_face_too_small_for_dots_has_the_colour_in_its_lines() -> None:
    drawn = {
        c: draw_faces(np.full((40, 40, 3), 120, np.uint8), [a_face(40, c)], Style(box=False)) for c in (0.05, 0.95)
    }
    for sure, image in drawn.items():
        changed = image[(image != 120).any(-1)].astype(float).mean(0) - 120
        want = np.array(confidence_colour(sure), float) - 120
        assert np.dot(changed, want) / np.linalg.norm(changed) / np.linalg.norm(want) > 0.8


def test_a_legend_is_drawn_where_there_is_room() -> None:
    for side, room in ((400, True), (60, False)):
        blank = np.full((side, side, 3), 200, np.uint8)
        assert bool((draw_faces(blank, [], Style(legend=True)) != blank).any()) is room


def test_numbers_are_written_where_there_are_several_faces() -> None:
    blank = np.full((400, 400, 3), 60, np.uint8)
    faces = [a_face(200, number=0), a_face(400, number=1)]
    with_them, without = draw_faces(blank, faces), draw_faces(blank, faces, Style(numbers=False))
    assert (with_them != without).any()
    np.testing.assert_array_equal(draw_faces(blank, faces[:1]), draw_faces(blank, faces[:1], Style(numbers=False)))


def test_svg_names_every_point_on_hover_and_places_it_exactly() -> None:
    face = a_face(300)
    face.confidence[4] = 0.1
    root = ElementTree.fromstring(faces_svg(b"\xff\xd8", "jpeg", 300, 200, [face], Style(legend=True)))
    assert root.get("viewBox") == "-0.5 -0.5 300 200"
    circles = list(root.iter(f"{SVG}circle"))
    assert len(circles) == 68
    for i, circle in enumerate(circles):
        title = circle.find(f"{SVG}title")
        assert title is not None
        assert title.text == f"{SCHEME.names[i]} ({i}), confidence {face.confidence[i]:.2f}"
        assert [float(circle.get(k, "nan")) for k in ("cx", "cy")] == pytest.approx(face.xy[i].tolist(), abs=0.006)
    assert circles[4].get("fill-opacity") == "0"
    assert re.fullmatch(r"face 0, score 0.98", root.find(f".//{SVG}g/{SVG}title").text or "")  # type: ignore[union-attr]
    assert len(list(root.iter(f"{SVG}stop"))) >= 4


def test_svg_leaves_out_points_that_are_nowhere() -> None:
    face = a_face(300)
    face.xy[:60] = np.nan
    root = ElementTree.fromstring(faces_svg(b"", "png", 300, 300, [face], Style(labels="name")))
    assert len(list(root.iter(f"{SVG}circle"))) == 8
    assert "nan" not in ElementTree.tostring(root, encoding="unicode")


def test_a_thumbnail_is_small_and_has_its_faces_in_place() -> None:
    image = np.full((1200, 600, 3), 90, np.uint8)
    small = thumbnail(image, [a_face(600)])
    assert small.shape == (SIDE, SIDE // 2, 3)
    rows = np.flatnonzero((small != 90).any((1, 2)))
    box = a_face(600).box / 4
    assert rows.min() == pytest.approx(box[1], abs=4)
    assert rows.max() == pytest.approx(box[3], abs=4)
    sheet = faces_sheet([small, small], ["a", "b"])
    assert sheet.shape[0] > SIDE
