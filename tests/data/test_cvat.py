from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph, real_merl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

WRITERS = {"cvat": (write_cvat, "f.xml"), "coco": (write_coco, "f.json"), "csv": (write_csv, "f.csv")}


def same(found: Record, given: Record) -> None:
    np.testing.assert_array_equal(found.xy, given.xy)
    np.testing.assert_array_equal(found.visible, given.visible)
    assert dict(found.tags) == dict(given.tags)
    assert found.scheme == given.scheme
    assert found.image.resolve() == given.image.resolve()
    assert (found.box is None) == (given.box is None)
    if found.box is not None:
        np.testing.assert_array_equal(found.box, given.box)


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    points=st.lists(st.tuples(finite, finite, st.sampled_from((0, 1, 2))), min_size=5, max_size=5),
    corner=st.none() | st.tuples(finite, finite),
    word=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=8),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_on_the_way_there_and_back(
    tmp_path: Path, points: list[tuple[float, float, int]], corner: tuple[float, float] | None, word: str
) -> None:
    image = tmp_path / "deep" / "a <&> b.png"
    if not image.exists():
        photograph(image)
    visible = np.array([v for _, _, v in points], dtype=np.int8)
    xy = np.array([(x, y) for x, y, _ in points])
    xy[visible == 0] = np.nan
    box = None if corner is None else np.array([corner[0], corner[1], corner[0] + 2.5, corner[1] + 3.25])
    tags = {"id": "deep/a", "photo": "deep/a", "word": word, "pose": True, "yaw": 1.25}
    record = Record(image=image, xy=xy, visible=visible, scheme="five", box=box, tags=tags)
    write_cvat(tmp_path / "f.xml", [record, record])
    for found in load_records(f"cvat:{tmp_path / 'f.xml'}", "all"):
        same(found, record)


def test_a_file_of_cvats_own(tmp_path: Path) -> None:
    photograph(tmp_path / "images" / "a.png")
    names = list(get_scheme("five").names)
    parts = "".join(
        f'<points label="{name}" source="manual" outside="{int(i == 1)}" occluded="{int(i == 2)}" points="{i}.50,{i}.25"/>'
        for i, name in reversed(list(enumerate(names)))
    )
    (tmp_path / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task/></meta>'
        '<image id="0" name="a.png" subset="train" width="60" height="40">'
        '<box label="face" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="30.50" ybr="33.00" group_id="7"/>'
        f'<skeleton label="face" source="manual" group_id="7">{parts}</skeleton>'
        '<points label="face" occluded="1" points="1.00,2.00;3.00,4.00;5,6;7,8;9,10"/></image></annotations>'
    )
    first, second = load_records(f"cvat:{tmp_path / 'annotations.xml'}", "train")
    assert first.image == tmp_path / "images" / "a.png"
    assert first.visible.tolist() == [2, 0, 1, 2, 2]
    assert first.xy[[0, 2, 3, 4]].tolist() == [[0.5, 0.25], [2.5, 2.25], [3.5, 3.25], [4.5, 4.25]]
    assert np.isnan(first.xy[1]).all()
    assert first.box is not None
    assert first.box.tolist() == [1.0, 2.0, 30.5, 33.0]
    assert second.xy[4].tolist() == [9.0, 10.0]
    assert second.visible.tolist() == [1] * 5
    assert second.box is None
    assert (first.id, second.id) == ("a_1", "a_2")


def test_single_points_by_name_are_the_parts_of_a_face(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        photograph(tmp_path / name)
    names = list(get_scheme("five").names)

    def points(first: int, group: str, left_out: str = "") -> str:
        return "".join(
            f'<points label="{name}" occluded="{int(i == 2)}" points="{first + i}.5,{i}" group_id="{group}"/>'
            for i, name in reversed(list(enumerate(names)))
            if name != left_out
        )

    path = tmp_path / "a.xml"
    path.write_text(
        f'<annotations><image name="a.png">{points(0, "0", names[1])}</image><image name="b.png">'
        f'<box label="face" xtl="1" ytl="2" xbr="30" ybr="33" group_id="8"/>{points(10, "7")}{points(20, "8")}'
        "</image></annotations>"
    )
    for scheme in (None, "five"):
        one, two, three = load_records(f"cvat:{path}", "all", scheme=scheme)
        assert one.visible.tolist() == [2, 0, 1, 2, 2]
        assert one.xy[[0, 2, 3, 4], 0].tolist() == [0.5, 2.5, 3.5, 4.5]
        assert two.xy[:, 0].tolist() == [10.5, 11.5, 12.5, 13.5, 14.5]
        assert three.xy[:, 0].tolist() == [20.5, 21.5, 22.5, 23.5, 24.5]
        assert three.box is not None
        assert (three.box.tolist(), two.box) == ([1, 2, 30, 33], None)
    path.write_text(f'<annotations><image name="b.png">{points(10, "0")}{points(20, "0")}</image></annotations>')
    with pytest.raises(FiduciaError, match=r"image 'b\.png', face 1: the point '\w+' stands twice"):
        load_records(f"cvat:{path}", "all")


FACE = '<annotations><image id="0" name="a.png">{}</image></annotations>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no XML"),
        ("<coco/>", "its first element is <coco>, expected <annotations>"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><annotations/>', "declares a DOCTYPE or entities"),
        ("<annotations><track/></annotations>", "is 'CVAT for video'; export the job as"),
        (FACE.format(""), "no skeleton or points found in any image"),
        ('<annotations><image id="3"><points/></image></annotations>', "image 3: name is null; expected a text"),
        (FACE.format('<points points="1,2;3,4;5,x;7,8;9,10"/>'), "image 'a.png', face 1: point 2, y is 'x'"),
        (FACE.format('<skeleton><points label="1" points="1,2"/></skeleton>'), "face 1: 1 points a face found"),
        (
            FACE.format("<skeleton>" + '<points label="1" points="1,2"/>' * 5 + "</skeleton>"),
            "face 1: the point '1' stands twice",
        ),
        (
            FACE.format(
                "<skeleton>"
                + "".join(f'<points label="{name}" points="1,2"/>' for name in ("nose_tip", "a", "b", "c", "d"))
                + "</skeleton>"
            ),
            "face 1: its points are called nose_tip, a, b, c, d, and 1 of the 5 are names of five: it has no a, b, c, d, and lacks",
        ),
        (
            FACE.format(
                '<box group_id="1" xtl="9" ytl="1" xbr="2" ybr="3"/><points group_id="1" points="1,2;3,4;5,6;7,8;9,10"/>'
            ),
            "face 1: the box is 9 1 2 3; expected xtl ytl xbr ybr with a positive size",
        ),
        (
            FACE.format('<points points="1,2;3,4;5,6;7,8;9,10"><attribute name="tags">[</attribute></points>'),
            "face 1: the attribute tags is no JSON object",
        ),
    ],
)
def test_bad_files_are_told_by_photograph_and_face(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises((FiduciaError, UsageError), match=message) as caught:
        load_records(f"cvat:{path}", "all")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.shared
@pytest.mark.parametrize("form", list(WRITERS))
def test_all_real_samples_survive_every_format(shared_data: Path, tmp_path: Path, form: str) -> None:
    real_merl(shared_data, tmp_path / "merl")
    write, name = WRITERS[form]
    for source, split in (
        (f"wflw:{shared_data / 'wflw_sample'}", "test"),
        (f"merl:{tmp_path / 'merl'}", "train"),
        (f"aflw2000:{shared_data / 'aflw2000_sample'}", "test"),
        (f"coco:{shared_data / 'coco_style' / 'cofw' / 'test_cofw.json'}", "all"),
        (f"coco:{shared_data / 'coco_style' / 'aflw' / 'test_aflw.json'}", "all"),
        (f"coco:{shared_data / 'coco_style' / 'lapa' / 'test_lapa.json'}", "all"),
        (f"pts:{shared_data / 'multi_face'}", "all"),
        (f"300w:{shared_data / '300w'}", "lfpw/testset"),
    ):
        records = load_records(source, split)
        write(tmp_path / name, records)
        found = load_records(f"{form}:{tmp_path / name}", "all")
        assert len(found) == len(records)
        for a, b in zip(found, records, strict=True):
            same(a, b)


def test_a_turned_box_of_cvat_gives_the_upright_box_round_it(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    names = get_scheme("five").names
    parts = "".join(f'<points label="{name}" points="{i}.50,{i}.25"/>' for i, name in enumerate(names))
    (tmp_path / "f.xml").write_text(
        '<annotations><image id="0" name="a.png"><box label="face" xtl="10" ytl="10" xbr="30" ybr="20" rotation="270.0" '
        f'group_id="7"/><skeleton label="face" group_id="7">{parts}</skeleton></image></annotations>'
    )
    (record,) = load_records(f"cvat:{tmp_path / 'f.xml'}", "all")
    assert record.box is not None
    np.testing.assert_allclose(record.box, [15, 5, 25, 25])
