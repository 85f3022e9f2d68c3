"""Every writer of labels is read back whole: faces, photographs, sizes, ids, tags, boxes, visibility, landmark set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import photograph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiducia.data.formats.folder import write_folder
from fiducia.data.source import label_writers, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Record

NAMES = {"coco": "f.json", "csv": "f.csv", "cvat": "f.xml", "labelstudio": "s.json", "pts": "pts"}

words = st.text(st.sampled_from("ab1_~. äß中ñ'&<,;\"="), min_size=1, max_size=6).filter(lambda w: w.strip(". ") != "")
places = st.tuples(st.sampled_from(["", "x", "y", "x/deep er", "ö"]), words)
coordinate = st.floats(-100, 1000)
point = st.tuples(coordinate, coordinate, st.sampled_from([1, 2]))
marked = st.sampled_from(
    [{}, {"source": "auto", "weights": "fifa_tiny", "weights_sha256": "ab" * 32}, {"split": "test"}]
)


@st.composite
def faces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw faces on a few photographs, which may share their names' stems, with ids that are unique."""
    photos = draw(st.lists(places, min_size=1, max_size=4, unique_by=lambda p: f"{p[0]}/{p[1]}".casefold()))
    found = []
    for number, (folder, name) in enumerate(photos):
        for k in range(draw(st.integers(1, 3))):
            left, top, width, height = (draw(st.floats(low, 500)) for low in (-20, -20, 0.5, 0.5))
            found.append(
                {
                    "image": Path(folder) / f"{name}.png",
                    "points": draw(st.lists(point, min_size=5, max_size=5)),
                    "box": draw(st.sampled_from([None, [left, top, left + width, top + height]])),
                    "tags": {"id": f"{folder or 'z'}/{number}_{k}", "photo": f"p/{number}", **draw(marked)},
                }
            )
    return found


def as_records(root: Path, drawn: list[dict[str, Any]], scheme: str) -> list[Record]:
    records = []
    for face in drawn:
        image = root / "in" / face["image"]
        image.parent.mkdir(parents=True, exist_ok=True)
        values = np.array(face["points"])
        records.append(
            Record(
                image=image if image.is_file() else photograph(image),
                xy=values[:, :2],
                visible=values[:, 2].astype(np.int8),
                scheme=scheme,
                box=None if face["box"] is None else np.array(face["box"]),
                tags=face["tags"],
            )
        )
    return records


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("scheme", ["five", "none:5", "own"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=faces())
def test_every_face_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    scheme: str,
    drawn: list[dict[str, Any]],
) -> None:
    root = tmp_path_factory.mktemp("run")
    if scheme == "own":
        scheme = str(root / "own.toml")
        Path(scheme).write_text('names = ["a b", "b", "c", "d", "e"]\nmirror = [[0, 1]]\n')
    records = as_records(root, drawn, scheme)
    monkeypatch.chdir(root)
    path = Path("labels") / NAMES[form]
    path.parent.mkdir(exist_ok=True)
    label_writers[form](path, records)
    monkeypatch.chdir("/")
    found = load_records(f"{form}:{root / path}", "all")
    if form == "pts":
        found = sorted(found, key=lambda r: r.id)  # type: ignore[assignment]
        records = sorted(records, key=lambda r: r.id)
    assert len(found) == len(records)
    for after, before in zip(found, records, strict=True):
        assert after.id == before.id
        assert dict(after.tags) == dict(before.tags)
        assert after.scheme == before.scheme
        # Label Studio counts in percent, which rounds.
        slack = 1e-9 if form == "labelstudio" else 0.0
        np.testing.assert_allclose(after.xy, before.xy, rtol=0, atol=slack)
        np.testing.assert_array_equal(after.visible, before.visible)
        assert (after.box is None) == (before.box is None)
        if after.box is not None and before.box is not None:
            np.testing.assert_allclose(after.box, before.box, rtol=0, atol=slack)
        if form == "pts":
            # A folder holds copies; each photograph is copied once.
            assert after.image.read_bytes() == before.image.read_bytes()
            assert after.image.is_relative_to(root / path)
        else:
            assert after.image.resolve() == before.image.resolve()
    if form == "pts":
        assert len({r.image for r in found}) == len({r.image for r in records})


def test_every_registered_writer_is_tested() -> None:
    assert set(label_writers) == set(NAMES)


@pytest.mark.parametrize("form", NAMES)
def test_a_landmark_set_that_does_not_fit_is_refused(form: str, tmp_path: Path) -> None:
    (record,) = as_records(tmp_path, [{"image": "a.png", "points": [[1, 2, 2]] * 5, "box": None, "tags": {}}], "ibug68")
    with pytest.raises(FiduciaError, match="has 5 points, but ibug68 has 68"):
        label_writers[form](tmp_path / "out", [record])


def test_a_folder_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    one = {"image": "a.png", "points": [[1, 2, 2]] * 5, "box": None, "tags": {"id": "A"}}
    twins = as_records(tmp_path, [one, {**one, "tags": {"id": "a"}}], "five")
    with pytest.raises(FiduciaError, match="the id 'a' stands for two faces"):
        write_folder(tmp_path / "out", twins)
    for name in ("../a", "/etc/a", "", ".."):
        (evil,) = as_records(tmp_path, [{**one, "tags": {"id": name}}], "five")
        with pytest.raises(UsageError, match="would be written outside"):
            write_folder(tmp_path / "out", [evil])
    assert not (tmp_path / "a.pts").exists()


def test_the_first_photograph_of_a_name_is_not_taken_for_another(tmp_path: Path) -> None:
    records = as_records(
        tmp_path,
        [
            {"image": "x/a.png", "points": [[1, 2, 2]] * 5, "box": None, "tags": {"id": "1", "photo": "same"}},
            {"image": "y/a.png", "points": [[3, 4, 2]] * 5, "box": None, "tags": {"id": "2", "photo": "same"}},
        ],
        "five",
    )
    records[1].image.write_bytes(photograph(tmp_path / "big.png", 80, 70).read_bytes())
    write_folder(tmp_path / "out", records)
    found = load_records(f"pts:{tmp_path / 'out'}", "all")
    assert [r.image.read_bytes() for r in found] == [r.image.read_bytes() for r in records]
    # Written again after the photograph has changed, it is copied again.
    records[0].image.write_bytes(photograph(tmp_path / "other.png", 33, 44).read_bytes())
    write_folder(tmp_path / "out", records)
    assert load_records(f"pts:{tmp_path / 'out'}", "all")[0].image.read_bytes() == records[0].image.read_bytes()
