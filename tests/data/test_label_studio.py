from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import photograph

from fiducia.data.check import check
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.schemes.sets import get_scheme

FIVE = get_scheme("five").names
XY = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])


def point(k: int, name: str | None = None, parent: str | None = None, shift: float = 0.0) -> dict[str, Any]:
    """Return a region of Label Studio: percent of a picture of 60 x 40, counted from its border."""
    value = {"x": (XY[k, 0] + shift + 0.5) / 0.6, "y": (XY[k, 1] + 0.5) / 0.4, "width": 0.4}
    region = {"type": "keypointlabels", "original_width": 60, "original_height": 40, "id": f"r{k}"}
    return {
        **region,
        "value": {**value, "keypointlabels": [name or FIVE[k]]},
        **({"parentID": parent} if parent else {}),
    }


def rectangle(key: str) -> dict[str, Any]:
    value = {"x": 10.0, "y": 20.0, "width": 50.0, "height": 60.0, "rotation": 0, "rectanglelabels": ["face"]}
    return {"id": key, "type": "rectanglelabels", "original_width": 60, "original_height": 40, "value": value}


def task(result: list[dict[str, Any]], image: str = "a.png", key: str = "annotations", **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, key: [{"result": result, **more}]}


def write(folder: Path, *tasks: Any) -> str:
    photograph(folder / "a.png")
    (folder / "export.json").write_text(json.dumps(list(tasks)))
    return f"labelstudio:{folder / 'export.json'}"


def test_points_by_name_in_percent_and_what_is_absent_is_not_labelled(tmp_path: Path) -> None:
    source = write(tmp_path, task([point(k) for k in (4, 2, 0, 1)]))
    (record,) = load_records(source, "all", "five")
    np.testing.assert_allclose(record.xy[[0, 1, 2, 4]], XY[[0, 1, 2, 4]])
    assert record.visible.tolist() == [2, 2, 2, 0, 2]
    assert np.isnan(record.xy[3]).all()
    assert (record.id, record.box) == ("a", None)


def test_rectangles_part_the_faces_and_are_their_boxes(tmp_path: Path) -> None:
    regions = [rectangle("A"), rectangle("B")]
    regions += [point(k, parent=p, shift=s) for k in range(5) for p, s in (("A", 0.0), ("B", 3.0))]
    first, second = load_records(write(tmp_path, task(regions)), "all")
    np.testing.assert_allclose(first.xy, XY)
    np.testing.assert_allclose(second.xy, XY + np.array([3.0, 0.0]))
    assert first.box is not None
    np.testing.assert_allclose(first.box, [5.5, 7.5, 35.5, 31.5])
    assert [first.id, second.id] == ["a_1", "a_2"]


@pytest.mark.parametrize(
    "name", ["/data/upload/3/1a2b3c4d-a.png", "/data/local-files/?d=a.png", "s3://bucket/deep/a.png", ".\\a.png"]
)
def test_photographs_are_found_by_what_label_studio_calls_them(name: str, tmp_path: Path) -> None:
    source = write(tmp_path, task([point(k) for k in range(5)], image=name))
    assert load_records(source, "all")[0].image.resolve() == tmp_path / "a.png"


def test_predictions_are_read_where_nobody_annotated_and_are_marked(tmp_path: Path) -> None:
    source = write(tmp_path, task([point(k) for k in range(5)], key="predictions", model_version="net-7"))
    records = load_records(source, "all")
    assert records[0].tags["source"] == "auto"
    assert records[0].tags["weights"] == "net-7"
    assert "source auto, net-7" in records.remarks[0]


def test_a_rectangle_without_points_is_no_face_whoever_drew_it_and_is_told(tmp_path: Path) -> None:
    regions = [rectangle("A"), *(point(k) for k in range(5))]
    for key in ("annotations", "predictions"):
        records = load_records(write(tmp_path, task(regions, key=key)), "all")
        assert [record.visible.tolist() for record in records] == [[2] * 5], key
        assert "1 rectangles are the parent of no point" in records.remarks[0]


def test_a_resized_picture_needs_no_scaling_and_another_shape_is_refused(tmp_path: Path) -> None:
    regions = [point(k) for k in range(5)]
    for region in regions:
        region |= {"original_width": 120, "original_height": 80}
    np.testing.assert_allclose(load_records(write(tmp_path, task(regions)), "all")[0].xy, XY)
    for region in regions:
        region |= {"original_width": 40, "original_height": 60}
    with pytest.raises(FiduciaError, match="stated as 40 x 60, but the photograph has 60 x 40"):
        load_records(write(tmp_path, task(regions)), "all")


def test_regions_of_other_types_are_told(tmp_path: Path) -> None:
    brush = {**point(3), "type": "brushlabels"}
    records = load_records(write(tmp_path, task([point(k) for k in (0, 1, 2, 4)] + [brush])), "all", "five")
    assert records[0].visible.tolist() == [2, 2, 2, 0, 2]
    assert "1 regions of the type brushlabels are neither points nor boxes" in records.remarks[0]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([7], "tasks[0] is 7; expected an object"),
        ([{"data": []}], "tasks[0]: data is []"),
        ([{"data": {"image": 5}}], "tasks[0]: data.image is 5; expected a text"),
        ([task([{**point(0), "value": 3}])], "tasks[0]: result[0].value is 3"),
        ([task([{**point(0), "value": {"x": 1, "y": None}}])], "result[0].value.y is null; expected a number"),
        ([task([point(0), point(0)])], "the point 'right_eye_centre' stands twice in one face; draw a rectangle"),
        ([task([point(k, f"{'abcde'[k]}ear") for k in range(5)])], "called aear, bear, cear, dear, eear"),
        (
            [task([point(0), {**point(1), "original_width": 90}])],
            "are 90 x 40, but 60 x 40 of the face's other regions",
        ),
        ([task([{**point(k), "original_width": -60} for k in range(5)])], "the size is stated as -60 x 40"),
        ([task([{**point(0), "meta": {"visible": 7}}])], "result[0].meta.visible is 7; expected 1 (occluded) or 2"),
        (
            [task([{**point(0), "image_rotation": 90}])],
            "result[0].image_rotation is 90: it was labelled on the image turned",
        ),
        ([task([{**rectangle("A"), "image_rotation": -90.5}])], "result[0].image_rotation is -90.5: it was"),
        ([task([{**point(0), "image_rotation": "90"}])], 'result[0].image_rotation is "90"; expected a number'),
        ([], "no region of the type keypointlabels"),
        ([task([])], "no region of the type keypointlabels"),
    ],
)
def test_a_broken_export_is_one_line_with_its_place(tasks: list[Any], message: str, tmp_path: Path) -> None:
    source = write(tmp_path, *tasks)
    with pytest.raises(FiduciaError) as caught:
        load_records(source, "all", "five")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(check(source, "five").broken) == 1


def test_an_image_that_was_turned_round_is_as_it_was_and_a_turned_rectangle_gives_the_upright_box(
    tmp_path: Path,
) -> None:
    box = rectangle("A")
    box["value"]["rotation"] = 90
    regions = [{**region, "image_rotation": 360} for region in (box, *(point(k, parent="A") for k in range(5)))]
    (record,) = load_records(write(tmp_path, task(regions)), "all")
    np.testing.assert_allclose(record.xy, XY)
    # 30 x 24 pixels from (5.5, 7.5), turned clockwise about that corner: it reaches 24 to the left and 30 down.
    assert record.box is not None
    np.testing.assert_allclose(record.box, [5.5 - 24, 7.5, 5.5, 7.5 + 30])
