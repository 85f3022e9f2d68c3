from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.check import check
from fiducia.data.source import (
    carve,
    datasets,
    describe_datasets,
    exclude,
    find_dataset,
    load_records,
    pattern_of,
    to_scheme,
)
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Record


def face(photo: int, number: int = 1) -> Record:
    tags = {"id": f"part/{photo}_{number}", "photo": f"part/{photo}"}
    return Record(
        image=Path(f"{photo}.jpg"), xy=np.zeros((5, 2)), visible=np.full(5, 2, np.int8), scheme="five", tags=tags
    )


FACES = [face(photo, number) for photo in range(40) for number in range(1, 1 + photo % 3 + 1)]


@given(st.permutations(range(len(FACES))), st.floats(0.0, 0.9), st.integers(0, 5))
def test_carving_keeps_photographs_together_and_ignores_the_order(order: list[int], fraction: float, seed: int) -> None:
    training, validation = carve(FACES, fraction, seed)
    shuffled, shuffled_validation = carve([FACES[i] for i in order], fraction, seed)
    assert {r.id for r in training} == {r.id for r in shuffled}
    assert {r.id for r in validation} == {r.id for r in shuffled_validation}
    assert not {r.tags["photo"] for r in training} & {r.tags["photo"] for r in validation}
    assert [r.id for r in FACES if r in training] == [r.id for r in training]
    wanted = round(fraction * len(FACES))
    # Never less than asked for, and at most the rest of one photograph (3 faces) more.
    assert wanted <= len(validation) <= wanted + 2
    assert len(training) + len(validation) == len(FACES)


def test_another_seed_is_another_choice_and_the_same_seed_the_same() -> None:
    chosen = [tuple(r.id for r in carve(FACES, 0.2, seed)[1]) for seed in range(6)]
    assert len(set(chosen)) == 6
    assert chosen[0] == tuple(r.id for r in carve(FACES, 0.2, 0)[1])


def test_a_photograph_stays_in_training_whatever_the_share() -> None:
    one = [face(1, 1), face(1, 2)]
    assert carve(one, 0.9, 0) == (one, [])
    assert carve(FACES, 0.0, 0) == (FACES, [])
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        carve(FACES, 1.0, 0)


def test_removing_faces_moves_few_others() -> None:
    before = {r.id for r in carve(FACES, 0.2, 0)[1]}
    after = {r.id for r in carve(exclude(FACES, ["part/7_*"]), 0.2, 0)[1]}
    assert len(before ^ after) <= 6


def test_exclude_matches_globs_on_the_whole_id() -> None:
    kept = {r.id for r in exclude(FACES, ["part/3_*", "part/1_2", "other/*"])}
    assert {r.id for r in FACES} - kept == {"part/3_1", "part/1_2"}
    # 39 // 3 remainder 0: three has one face only; a pattern is no prefix.
    assert "part/33_1" in kept
    assert exclude(FACES, []) == FACES
    assert len(exclude(FACES, ["PART/3_*"])) == len(FACES)


def test_unknown_names_teach(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean '300w'\?"):
        find_dataset("300W:/x")
    with pytest.raises(UsageError, match="NAME:ROOT"):
        find_dataset("/data/300w")
    with pytest.raises(UsageError, match=r"did you mean 'train'\?"):
        load_records(f"300w:{tmp_path}", "trian")
    with pytest.raises(UsageError, match=r"did you mean 'ibug68'\?"):
        load_records(f"300w:{tmp_path}", "train", "ibug-68")


def test_only_the_first_colon_parts_name_and_root() -> None:
    assert find_dataset(r"300w:C:\faces")[1] == r"C:\faces"


def test_a_converted_point_is_as_visible_as_the_least_of_its_sources() -> None:
    visible = np.full(68, 2, dtype=np.int8)
    visible[37], visible[48] = 1, 0
    xy = np.arange(136.0).reshape(68, 2)
    xy[48] = np.nan
    record = to_scheme(Record(image=Path("a.jpg"), xy=xy, visible=visible, scheme="ibug68"), "five")
    assert record.scheme == "five"
    assert record.visible.tolist() == [1, 2, 2, 0, 2]
    assert np.isnan(record.xy[3]).all()
    assert record.xy[2].tolist() == [60.0, 61.0]


@pytest.mark.parametrize("name", list(datasets))
def test_every_data_set_describes_itself(name: str) -> None:
    spec = datasets[name]
    assert spec.name == name
    assert spec.summary
    assert set(spec.counts) <= set(spec.splits) | set(spec.parts)
    row = next(row for row in describe_datasets() if row["name"] == name)
    assert set(row) == {"name", "schemes", "splits", "faces", "what", "fetch", "licence"}


@pytest.mark.parametrize("name", ["@anna", "@", "a*[1]?", "lfpw/image_0001"])
def test_the_pattern_of_a_face_matches_that_face_alone(name: str) -> None:
    """``@`` begins the name of a file of ids, and a photograph's name may begin with it."""
    faces = [replace(face(0), tags={"id": one}) for one in (name, f"{name}x", "a11", "a1")]
    assert [r.id for r in exclude(faces, [pattern_of(name)])] == [f"{name}x", "a11", "a1"]


@pytest.mark.parametrize("name", datasets)
def test_a_root_that_no_path_can_be_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello\n")
    split = (datasets[name].splits or ("all",))[0]
    for root, says in (
        ("a" * 5000, "'a{80}.*: cannot be looked at .File name too long.; correct"),
        ("~nobody_at_all/x", "'~nobody_at_all/x': cannot be looked at "),
        (str(tmp_path / "words.txt"), r"words\.txt"),
    ):
        with pytest.raises(FiduciaError, match=says) as caught:
            load_records(f"{name}:{root}", split)
        assert "\n" not in str(caught.value)
        with contextlib.suppress(FiduciaError):
            assert not check(f"{name}:{root}").ok


def test_a_folder_that_may_not_be_read_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "afw").mkdir()

    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    says = r"afw: cannot be read \(Permission denied\); check the path"
    with pytest.raises(FiduciaError, match=says):
        load_records(f"300w:{tmp_path}", "train")
    (broken,) = set(check(f"300w:{tmp_path}").broken)
    assert "afw: cannot be read (Permission denied)" in broken
