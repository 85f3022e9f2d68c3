from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.places import face_tags, is_file, photo_path, relative_image


def ids(images: list[str], tags: list[dict] | None = None) -> list[tuple[str, str]]:
    return [(t["id"], t["photo"]) for t in face_tags(images, tags or [{} for _ in images])]


def test_faces_are_called_after_their_photograph() -> None:
    assert ids(["a.jpg", "x/b.jpg", "x/b.jpg"]) == [("a", "a"), ("x/b_1", "x/b"), ("x/b_2", "x/b")]


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("/data/faces/a.jpg", "data/faces/a"),
        ("../../other/a.jpg", "other/a"),
        ("./x/../y/a.jpg", "y/a"),
        ("C:\\data\\a.jpg", "data/a"),
        ("x\\y\\a.jpg", "x/y/a"),
        ("\\\\server\\share\\a.jpg", "server/share/a"),
        ("v1.2 final.jpg", "v1.2 final"),
    ],
)
def test_names_never_lead_out_of_a_folder(name: str, photo: str) -> None:
    assert ids([name]) == [(photo, photo)]


def test_photographs_that_would_share_a_name_keep_their_endings() -> None:
    assert ids(["a.jpg", "a.png", "b.jpg"]) == [("a.jpg", "a.jpg"), ("a.png", "a.png"), ("b", "b")]
    assert ids(["../a.jpg", "../../a.jpg"]) == [("a.jpg", "a.jpg"), ("a.jpg~2", "a.jpg~2")]


def test_a_second_face_makes_way_for_a_photograph_of_that_name() -> None:
    assert [i for i, _ in ids(["a_1.jpg", "a.jpg", "a.jpg"])] == ["a_1", "a_1~2", "a_2"]


def test_given_names_are_kept() -> None:
    (tags,) = face_tags(["x/a.jpg"], [{"id": "mine", "photo": "p", "part": "test"}])
    assert tags == {"id": "mine", "photo": "p", "part": "test"}


def test_ids_that_count_within_a_photograph_get_its_name() -> None:
    images = ["a.jpg", "a.jpg", "b.jpg"]
    assert [i for i, _ in ids(images, [{"id": "0"}, {"id": "1"}, {"id": "0"}])] == ["a_0", "a_1", "b_0"]
    assert [i for i, _ in ids(images, [{"id": "1"}, {"id": "2"}, {"id": "1"}])] == ["a_1", "a_2", "b_1"]
    # Ids of the whole file stay as they are; so does one that stands twice, which the check tells.
    assert [i for i, _ in ids(images, [{"id": "0"}, {"id": "1"}, {"id": "2"}])] == ["0", "1", "2"]
    assert [i for i, _ in ids(images, [{"id": "7"}, {"id": "9"}, {"id": "7"}])] == ["7", "9", "7"]


names = st.text(st.sampled_from("ab/\\.:_ ä1~"), min_size=1, max_size=8)


@given(st.lists(names, max_size=8))
def test_made_ids_are_unique_and_stay_inside(images: list[str]) -> None:
    found = ids(images)
    assert len({i for i, _ in found}) == len(images)
    for _, photo in found:
        assert not Path(photo).is_absolute()
        assert ".." not in Path(photo).parts


def test_a_photograph_is_found_as_it_stands_first(tmp_path: Path) -> None:
    (tmp_path / "a\\b.jpg").write_text("")
    assert photo_path(tmp_path, "a\\b.jpg").name == "a\\b.jpg"
    (tmp_path / " spaced .jpg").write_text("")
    assert photo_path(tmp_path, " spaced .jpg").name == " spaced .jpg"
    assert photo_path(tmp_path, "x\\none.jpg") == tmp_path / "x" / "none.jpg"
    assert photo_path(tmp_path, "/abs/none.jpg") == Path("/abs/none.jpg")


def test_names_that_no_file_system_takes_are_no_files(tmp_path: Path) -> None:
    for name in ("a" * 5000, "a\0b", "\ud800"):
        assert not is_file(tmp_path / name)
        photo_path(tmp_path, name)


def test_relative_names_have_forward_slashes(tmp_path: Path) -> None:
    assert relative_image(tmp_path / "a" / "b.jpg", tmp_path / "c") == "../a/b.jpg"
