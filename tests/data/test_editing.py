"""Labels changed in their files: the bytes of the points that change, and no others, in every format that we write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducia.data.editing import save
from fiducia.data.editing.base import Change, LabelledFace, label_editors
from fiducia.data.editing.save import Changed, LabelFiles, Plan, require_changeable
from fiducia.data.source import label_writers, load_records
from fiducia.errors import FiduciaError, PlaceLost
from fiducia.structures import Record

NAMES = {"coco": "f.json", "csv": "f.csv", "cvat": "f.xml", "labelstudio": "s.json", "pts": "pts"}
SPANS = {
    "coco": r'\{\s*"id": {n},\s*"image_id".*?"tags": \{.*?\}\s*\}',
    "csv": r"^[^\n]*face{i}[^\n]*$",
    "cvat": r'<skeleton [^>]*group_id="{n}">.*?</skeleton>',
    "labelstudio": r'"id": "face{i}(?!\d).*?(?="id": (?!"face{i}(?!\d)|"[0-9a-f]{10}")|\Z)',
}
"""Format → where the labels of face i stand in a file of ours; n counts from 1."""
FACES = 4
coordinate = st.floats(-50, 500).map(lambda v: round(v, 3))
changes = st.dictionaries(st.integers(0, 4), st.tuples(coordinate, coordinate, st.sampled_from([2, 1, 0])), min_size=1)


def records(root: Path) -> list[Record]:
    """Return faces of five points, two of them on one photograph."""
    draws = np.random.default_rng(1)
    found = []
    for i in range(FACES):
        image = root / "photos ö" / f"{max(i, 1)}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        visible = np.full(5, 2, dtype=np.int8)
        visible[i] = 1
        found.append(
            Record(
                image=image if image.is_file() else photograph(image),
                xy=draws.uniform(3, 300, size=(5, 2)),
                visible=visible,
                scheme="five",
                tags={"id": f"face{i}", "photo": f"p{max(i, 1)}"},
            )
        )
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


def change(files: LabelFiles, face: LabelledFace, wanted: Mapping[int, Change]) -> Plan:
    """Change points of a face in its file."""
    plan = files.plan(face, wanted)
    files.write(plan)
    return plan


def opened(path: Path, form: str, scheme: str | None = None) -> tuple[LabelFiles, list[LabelledFace]]:
    editor = label_editors[form]
    faces = editor.faces(str(path), "all", scheme)
    return LabelFiles(editor, faces), faces


def expected(face: LabelledFace, wanted: Mapping[int, Change]) -> tuple[np.ndarray, np.ndarray]:
    xy, visible = face.record.xy.copy(), face.record.visible.copy()
    for k, (x, y, code) in wanted.items():
        xy[k], visible[k] = ((x, y) if code else np.nan), code
    return xy, visible


@pytest.mark.parametrize("form", list(NAMES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, FACES - 1), wanted=changes)
def test_an_edit_changes_that_face_s_bytes_and_no_others(
    root: Path, form: str, index: int, wanted: dict[int, Change]
) -> None:
    path = root / NAMES[form]
    label_writers[form](path, records(root))
    files, faces = opened(path, form)
    face = faces[index]
    wanted = {k: (x, y, code if code in face.codes else 2) for k, (x, y, code) in wanted.items()}
    before = {file: file.read_bytes() for file in root.rglob("*") if file.suffix in (".json", ".csv", ".xml", ".pts")}
    plan = change(files, face, wanted)
    record, patches = plan.record, plan.patches

    xy, visible = expected(face, wanted)
    exact = 1e-9 if form == "labelstudio" else 0
    np.testing.assert_allclose(record.xy, xy, rtol=0, atol=exact)
    again = load_records(f"{form}:{path}", "all")
    np.testing.assert_allclose(again[index].xy, xy, rtol=0, atol=exact)
    assert again[index].visible.tolist() == visible.tolist()
    for i, other in enumerate(again):
        assert other.id == faces[i].record.id
        if i != index:
            assert other.xy.tobytes() == faces[i].record.xy.tobytes()
            assert other.visible.tolist() == faces[i].record.visible.tolist()
    # Only the face's own part of the file differs.
    touched = {patch.path for patch in patches}
    for file, data in before.items():
        now = file.read_bytes()
        if file not in touched:
            assert now == data
        elif file.suffix == ".pts" or file.name == "pts.json":
            assert file.stem in (f"face{index}", "pts")
        else:
            pattern = SPANS[form].replace("{n}", str(index + 1)).replace("{i}", str(index))
            span = re.compile(pattern.encode(), re.DOTALL if form != "csv" else re.MULTILINE).search(data)
            assert span is not None
            start, end = span.span()
            assert now[:start] == data[:start]
            assert now[len(now) - (len(data) - end) :] == data[end:]

    files.put_back(plan.patches, plan.digests)
    assert all(file.read_bytes() == data for file, data in before.items())


def test_the_original_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    label_writers["csv"](path, records(tmp_path))
    first = path.read_bytes()
    files, faces = opened(path, "csv")
    record = change(files, faces[0], {0: (1.0, 2.0, 2)}).record
    change(files, replace(faces[0], record=record), {1: (3.0, 4.0, 2)})
    assert (tmp_path / "f.csv.orig").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.csv", "f.csv.orig", "photos ö"]


def test_digits_of_what_stays_are_kept_in_a_coco_file_of_others(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    text = (
        '\ufeff{"annotations":[{"keypoints":[1.50,2,2, 3e1,4.0,2.0,0,0,0, 7,8,1, 9,9,2],"num_keypoints":4,"image_id":"é",'
        '"note":"\\u00e9","bbox":[1,2,3,4]},{"image_id":"é","id":5}],\r\n"images":[{"id":"é","file_name":"a.png"}]}'
    )
    path = tmp_path / "f.json"
    path.write_bytes(text.encode())
    files, faces = opened(path, "coco")
    change(files, faces[0], {1: (30.0, 4.25, 2), 2: (5.0, 6.0, 1), 4: (0, 0, 0)})
    wanted = text.replace("3e1,4.0,2.0,0,0,0, 7", "3e1,4.25,2.0,5.0,6.0,1, 7").replace("9,9,2]", "0,0,0]")
    assert path.read_bytes().decode() == wanted


def test_a_table_of_others(tmp_path: Path) -> None:
    for name in "ab":
        photograph(tmp_path / f"{name}.png")
    text = (
        'sep=;\nid;right_eye_x;"right_eye_y";left_eye_x;left_eye_y;image;nose_x;nose_y;left_mouth_x;left_mouth_y;'
        "right_mouth_x;right_mouth_y\r\n\r\n"
        'one;"1.50"; 2 ;3;4;a.png;5;6;;;9;10\r\n;;;;;;;;;;;\r\n"two ""x"";\n2";1;2;3;4;b.png;5;6;7;8;9;10'
    )
    path = tmp_path / "f.csv"
    path.write_bytes(text.encode())
    files, faces = opened(path, "csv", "five")
    assert [face.record.id for face in faces] == ["one", 'two "x";\n2']
    k = next(k for k in range(5) if faces[0].record.xy[k].tolist() == [1.5, 2])
    absent = int(np.flatnonzero(~np.isfinite(faces[0].record.xy[:, 0]))[0])
    assert faces[0].codes == (0, 2)
    change(files, faces[0], {k: (1.25, 2.0, 2), absent: (7.5, 8.0, 2)})
    assert path.read_bytes().decode() == text.replace('"1.50"', '"1.25"').replace("6;;;9", "6;7.5;8.0;9")
    files, faces = opened(path, "csv", "five")
    last = next(k for k in range(5) if faces[1].record.xy[k].tolist() == [9, 10])
    change(files, faces[1], {last: (0, 0, 0)})
    assert path.read_bytes().decode().endswith("7;8;;")


def test_points_files_of_others(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    text = "# by hand\r\nversion: 1 \nn_points:  5\n{\n 10.0,20 // corner\n\n1 2\n3\t4\n5.50 6\r7 8 }\n"
    path = tmp_path / "a.pts"
    path.write_bytes(text.encode())
    files, faces = opened(tmp_path, "pts", "five")
    change(files, faces[0], {0: (9.0, 19.5, 2), 3: (4.5, 0.125, 2), 4: (-1.0, 0.0, 2)})
    assert path.read_bytes().decode() == text.replace("10.0,20 ", "10.0,20.5 ").replace("5.50 6", "5.50 1.125").replace(
        "7 8 }", "0.0 1.0 }"
    )
    with pytest.raises(FiduciaError, match="cannot hold a point of visibility 0"):
        change(files, faces[0], {0: (0, 0, 0)})


def test_cvat_s_single_points_and_lists(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    parts = "".join(
        f'  <points label="{name}" source="manual" occluded="0" points="{x}.50,{x}.00" z_order="0" group_id="1"></points>\n'
        for x, name in enumerate(["right_eye_centre", "left_eye_centre", "nose_tip", "right_mouth_corner"])
    )
    text = f"<?xml version='1.0' encoding='utf-8'?>\n<annotations><image id='0' name='a.png'>\n{parts}</image></annotations>"
    path = tmp_path / "f.xml"
    path.write_text(text)
    files, faces = opened(path, "cvat", "five")
    assert faces[0].codes == (1, 2)
    change(files, faces[0], {1: (1.5, 7.25, 2), 2: (2.5, 2.0, 1)})
    wanted = text.replace('"1.50,1.00"', '"1.50,7.25"')
    at = wanted.index("nose_tip")
    assert path.read_text() == wanted[:at] + wanted[at:].replace('occluded="0"', 'occluded="1"', 1)
    missing = int(np.flatnonzero(~np.isfinite(faces[0].record.xy[:, 0]))[0])
    record = opened(path, "cvat", "five")[1][0]
    with pytest.raises(FiduciaError, match="is not in the file; add it in CVAT"):
        change(files, record, {missing: (1.0, 1.0, 2)})

    text = "<annotations><image name='a.png'><points label='face' points=\"1.00,2.5;3,4;5,6;7,8;9,10\"/></image></annotations>"
    path.write_text(text)
    files, faces = opened(path, "cvat", "five")
    change(files, faces[0], {4: (9.0, 10.5, 2), 0: (1.0, 3.0, 2)})
    assert path.read_text() == text.replace("1.00,2.5", "1.00,3.0").replace("9,10", "9,10.5")


def test_predictions_of_label_studio(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    label_writers["labelstudio"](tmp_path / "f.json", records(tmp_path)[:1])
    tasks = json.loads((tmp_path / "f.json").read_text())
    tasks[0]["predictions"] = [{"model_version": "x", **tasks[0].pop("annotations")[0]}]
    tasks.insert(0, {"data": {"image": "a.png"}, "annotations": [{"was_cancelled": True, "result": []}]})
    (tmp_path / "f.json").write_text(json.dumps(tasks, separators=(",", ":")))
    before = (tmp_path / "f.json").read_bytes()
    files, faces = opened(tmp_path / "f.json", "labelstudio")
    everything = dict.fromkeys((0, 2, 4), (0.0, 0.0, 0))
    plan = change(files, faces[0], everything)
    assert np.isnan(plan.record.xy[[0, 2, 4]]).all()
    later = change(files, replace(faces[0], record=plan.record), {2: (12.5, 13.25, 1)})
    back = later.record
    assert back.xy[2].tolist() == [12.5, 13.25]
    assert back.visible.tolist()[2] == 1
    files.put_back(later.patches, later.digests)
    files.put_back(plan.patches, plan.digests)
    assert (tmp_path / "f.json").read_bytes() == before


def test_a_file_that_another_program_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    label_writers["coco"](path, records(tmp_path))
    files, faces = opened(path, "coco")
    plan = change(files, faces[0], {0: (1.0, 2.0, 2)})
    patches, states = plan.patches, plan.digests
    other = path.read_bytes().replace(b'"iscrowd": 0', b'"iscrowd": 1', 1)
    path.write_bytes(other)
    with pytest.raises(Changed, match="another program has changed it"):
        change(files, faces[1], {0: (1.0, 2.0, 2)})
    with pytest.raises(Changed, match="another program has changed it"):
        files.put_back(patches, states)
    fresh, _ = opened(path, "coco")
    with pytest.raises(Changed, match="has changed since the change"):
        fresh.put_back(patches, states)
    assert path.read_bytes() == other


@pytest.mark.parametrize("form", ["coco", "pts"])
def test_a_full_disk_leaves_the_labels_as_they_were(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAMES[form]
    label_writers[form](path, records(tmp_path))
    files, faces = opened(path, form)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    real = save.write_atomic
    # The last file is where the disk is full: of .pts that is the visibility, after the points.
    last = path / "pts.json" if form == "pts" else path

    def full(place: Path, data: bytes) -> None:
        if place == last and data != before[last]:
            raise PlaceLost(f"{place}: cannot be written (No space left on device); choose another place")
        real(place, data)

    monkeypatch.setattr(save, "write_atomic", full)
    with pytest.raises(PlaceLost, match="No space left"):
        change(files, faces[0], {2: (1.0, 2.0, 1)})
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".orig"}
    assert after == before
    monkeypatch.undo()
    change(files, faces[0], {2: (1.0, 2.0, 1)})


def test_read_only_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    label_writers["csv"](path, records(tmp_path))
    require_changeable([path])
    path.chmod(0o444)
    with pytest.raises(FiduciaError, match="is read-only; make it writable"):
        require_changeable([path])


def test_labels_of_a_resized_image_stay(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    photograph(tmp_path / "a.png")
    from fiducia.data.sizes import photo_size

    size = photo_size(tmp_path / "a.png")
    assert size is not None
    head = ",".join(f"x{i},y{i}" for i in range(5))
    path.write_text(f"image,width,height,{head}\na.png,{2 * size.shown[0]},{2 * size.shown[1]},1,2,3,4,5,6,7,8,9,9\n")
    files, faces = opened(path, "csv")
    with pytest.raises(FiduciaError, match="image of another size"):
        change(files, faces[0], {0: (1.0, 1.0, 2)})


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    path = tmp_path / "store" / "f.csv"
    label_writers["csv"](path, records(tmp_path / "store"))
    (tmp_path / "photos ö").symlink_to(tmp_path / "store" / "photos ö")
    (tmp_path / "f.csv").symlink_to(path)
    files, faces = opened(tmp_path / "f.csv", "csv")
    change(files, faces[0], {0: (1.0, 2.0, 2)})
    assert (tmp_path / "f.csv").is_symlink()
    assert load_records(f"csv:{path}", "all")[0].xy[0].tolist() == [1, 2]


def test_cvat_s_numbers_written_with_character_references(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    points = "&#49;.50,2&#x3b;3 , 4&#59;;&#32;5,6;7&#x2C;8;&#57;,1&#48;\u00a0"
    text = f"<?xml version='1.0'?>\n<annotations><image name='a.png'><points label='f' points='{points}'/></image></annotations>"
    path = tmp_path / "f.xml"
    path.write_text(text, encoding="utf-8")
    files, faces = opened(path, "cvat", "five")
    assert faces[0].record.xy.tolist() == [[1.5, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    wanted = {0: (1.5, 2.25, 2), 1: (3.0, 4.5, 2), 3: (7.5, 8.0, 2), 4: (9.5, 11.0, 2)}
    plan = change(files, faces[0], wanted)
    record, patches = plan.record, plan.patches
    assert record.xy.tolist() == [[1.5, 2.25], [3, 4.5], [5, 6], [7.5, 8], [9.5, 11]]
    moved = "&#49;.50,2.25&#x3b;3 , 4.5&#59;;&#32;5,6;7.5&#x2C;8;9.5,11.0\u00a0"
    assert path.read_text(encoding="utf-8") == text.replace(points, moved)
    assert max(len(patch.old) for patch in patches) == len("1&#48;"), "only the numbers that change are replaced"
    files.put_back(plan.patches, plan.digests)
    assert path.read_text(encoding="utf-8") == text

    names = ["right_eye_centre", "left_eye_centre", "nose_tip", "right_mouth_corner", "left_mouth_corner"]
    parts = "".join(
        f"<points label='{name}' outside='&#48;' points='{i}&#44;&#x31;.5'/>" for i, name in enumerate(names)
    )
    text = f"<annotations><image name='a.png'><skeleton label='face'>{parts}</skeleton></image></annotations>"
    path.write_text(text)
    files, faces = opened(path, "cvat", "five")
    change(files, faces[0], {2: (2.0, 7.0, 2), 3: (0.0, 0.0, 0), 4: (4.0, 1.5, 1)})
    wanted_text = text.replace("2&#44;&#x31;.5", "2&#44;7.0").replace(
        "outside='&#48;' points='3", "outside='1' points='3"
    )
    wanted_text = wanted_text.replace(
        "<points label='left_mouth_corner'", "<points occluded=\"1\" label='left_mouth_corner'"
    )
    assert path.read_text() == wanted_text


EMPTY = {
    "coco": (
        "f.json",
        '{"images":[{"id":1,"file_name":"a.png"}],"annotations":[{"image_id":1,'
        '"keypoints":[1.0,2,2, null,NaN,0, -Infinity,null,0.0, 7,8,1, 3,null,0]}]}',
        ("null,NaN,0", "5.5,6.0,2"),
    ),
    "csv": (
        "f.csv",
        "image,x0,y0,v0,x1,y1,v1,x2,y2,v2,x3,y3,v3,x4,y4,v4\na.png,1.0,2,2,nan,NaN,0,-inf,,0,7,8,1,3,,0\n",
        ("nan,NaN,0", "5.5,6.0,2"),
    ),
    "cvat": (
        "f.xml",
        "<annotations><image name='a.png'><skeleton label='face'>"
        "<points label='right_eye_centre' points='1.0,2'/>"
        "<points label='left_eye_centre' outside='1' points='nan,nan'/>"
        "<points label='nose_tip' outside='1' points=''/>"
        "<points label='right_mouth_corner' occluded='1' points='7,8'/>"
        "<points label='left_mouth_corner' outside='1'/></skeleton></image></annotations>",
        ("outside='1' points='nan,nan'", "outside='0' points='5.5,6.0'"),
    ),
}
"""Format → a file of which three points are not labelled, with no numbers there, and the second point of it labelled."""


@pytest.mark.parametrize("form", EMPTY)
def test_points_that_are_not_labelled_need_no_numbers_and_can_be_labelled(tmp_path: Path, form: str) -> None:
    photograph(tmp_path / "a.png")
    name, text, (old, new) = EMPTY[form]
    path = tmp_path / name
    path.write_text(text)
    files, faces = opened(path, form, "five")
    assert faces[0].record.visible.tolist() == [2, 0, 0, 1, 0]
    assert np.isnan(faces[0].record.xy[[1, 2, 4]]).all()
    assert faces[0].record.xy[[0, 3]].tolist() == [[1, 2], [7, 8]]
    change(files, faces[0], {1: (5.5, 6.0, 2)})
    assert path.read_text() == text.replace(old, new)
    (again,) = load_records(f"{form}:{path}", "all", "five")
    assert again.visible.tolist() == [2, 2, 0, 1, 0]
    assert again.xy[1].tolist() == [5.5, 6.0]


@pytest.mark.parametrize(
    "numbers", ["null,8,2", "7,NaN,1", "Infinity,8,2", '"x",8,0', "null,null,null", "null,1,false"]
)
def test_a_labelled_point_of_coco_without_numbers_is_an_error(tmp_path: Path, numbers: str) -> None:
    photograph(tmp_path / "a.png")
    path = tmp_path / "f.json"
    table = '{"images":[{"id":1,"file_name":"a.png"}],"annotations":[{"image_id":1,"keypoints":[1,2,2,3,4,2,5,6,2,7,8,2,%s]}]}'
    path.write_text(table % numbers)
    with pytest.raises(FiduciaError, match=r"f\.json: annotations\[0\].*keypoints\[1[234]\] is .*; expected a"):
        load_records(f"coco:{path}", "all", "five")
