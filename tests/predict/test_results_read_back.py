"""What ``detect`` writes is read back whole by the readers of labels, from any folder, and is marked as machine-made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fiducia.data.check import check
from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.folder import write_folder
from fiducia.data.source import load_records
from fiducia.errors import UsageError
from fiducia.faces import Face
from fiducia.images import write_image
from fiducia.predict.batches import Found
from fiducia.predict.detect import detect_paths
from fiducia.predict.inputs import Photo
from fiducia.predict.outputs import Origin
from fiducia.predict.streamed import JOURNAL
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Detection

ORIGIN = Origin("fifa_tiny", "ab12" * 16)
SHAPE = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]], np.float32)
WAYS = {
    "csv": "faces.csv",
    "coco": "coco.json",
    "cvat": "cvat.xml",
    "labelstudio": "labelstudio.json",
    "json": "",
    "jsonl": "faces.jsonl",
    "pts": "",
}
"""Format → the file below the results' folder that is read; empty = the folder itself."""


class _FiveRuntime:
    scheme = get_scheme("five")


class Counts:
    """Finds as many faces as the photograph's first pixel says; no two faces of a run are alike."""

    runtime = _FiveRuntime()
    batch_size = 1

    def __init__(self) -> None:
        self.found: dict[str, list[Face]] = {}

    def find(self, image: Photo) -> Found:
        return image, [Detection(box=np.zeros(4), score=1.0)] * int(image.image[0, 0, 0])

    def predict(self, photos: Sequence[Found]) -> list[list[Face]]:
        return [self.faces(image) for image, _ in photos]

    def faces(self, image: Photo) -> list[Face]:
        self.found[image.name] = [
            Face(
                xy=SHAPE + np.float32(len(self.found) / 8 + number),
                confidence=np.linspace(0, 1, 5, dtype=np.float32),
                box=np.array([8, 8, 32, 33.5 + number], np.float32),
                scheme=self.runtime.scheme,
                score=0.5,
                id=number,
            )
            for number in range(int(image.image[0, 0, 0]))
        ]
        return self.found[image.name]


def photo(path: Path, faces: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((48, 64, 3), 128, np.uint8)
    pixels[0, 0] = faces
    write_image(path, pixels)
    return path


words = st.text(st.sampled_from("ab1_~. äß中ñ'&<,;"), min_size=1, max_size=6).filter(lambda w: w.strip(". ") != "")
places = st.dictionaries(
    st.tuples(st.sampled_from(["", "x", "y", "x/deep er", "ö"]), words.map(str.strip)),
    st.integers(0, 2),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("absolute", [True, False])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(photos=places)
@example(photos={("", ".1"): 1, ("", "._a"): 1})
def test_every_face_comes_back_from_every_format(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    absolute: bool,
    photos: dict[tuple[str, str], int],
) -> None:
    root = tmp_path_factory.mktemp("run")
    monkeypatch.chdir(root)
    paths = [photo(root / "in" / folder / f"{name}.png", n) for (folder, name), n in photos.items()]
    finder = Counts()
    sources = paths if absolute else [path.relative_to(root) for path in paths]
    report = detect_paths(finder, sources, root / "out", tuple(WAYS), origin=ORIGIN)
    assert not report.failed
    total = sum(photos.values())
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    for form, name in WAYS.items():
        if total == 0:
            continue
        source = f"{form}:{root / 'out' / name}"
        records = load_records(source, "all")
        assert len(records) == total, form
        assert len({record.id for record in records}) == total, f"{form}: ids are unique"
        found = Counter(record.image.resolve() for record in records)
        assert found == {path.resolve(): n for path, n in zip(paths, photos.values(), strict=True) if n}
        assert len({record.tags["photo"] for record in records}) == len(found), f"{form}: a name a photograph"
        by_image = {path.resolve(): finder.found[str(given)] for path, given in zip(paths, sources, strict=True)}
        for record in records:
            assert record.scheme == "five"
            match = [f for f in by_image[record.image.resolve()] if np.allclose(f.xy, record.xy, atol=1e-3)]
            assert len(match) == 1, form
            assert record.box is not None
            np.testing.assert_allclose(record.box, match[0].box, atol=1e-3)
            assert record.tags["source"] == "auto"
            assert record.tags["weights_sha256"] == ORIGIN.sha256
        (said,) = [line for line in records.remarks if "machine" in line]
        assert f"{total} of {total} faces have labels that a machine made (source auto, fifa_tiny)" in said
        # From any format on to the two that hold everything, without losing a face or a mark.
        write_coco(root / "again" / f"{form}.json", records)
        write_folder(root / "again" / form, records)
        for onward in (f"coco:{root / 'again' / form}.json", f"pts:{root / 'again' / form}"):
            again = load_records(onward, "all")
            assert {r.id for r in again} == {r.id for r in records}
            assert {r.tags["weights_sha256"] for r in again} == {ORIGIN.sha256}


def test_the_check_of_results_counts_all_faces_and_says_who_made_them(tmp_path: Path) -> None:
    detect_paths(Counts(), [photo(tmp_path / "a.png", 3), photo(tmp_path / "b/a.png", 2)], tmp_path / "out", ["csv"])
    report = check(f"csv:{tmp_path / 'out' / 'faces.csv'}")
    assert (report.faces, report.photographs, report.broken) == (5, 2, [])
    assert any(row["kind"] == "machine" and row["count"] == 1 for row in report.kinds())


def test_results_at_another_size_are_scaled(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", 1)
    finder = Counts()
    detect_paths(finder, [path], tmp_path / "out", list(WAYS))
    write_image(path, np.zeros((96, 128, 3), np.uint8))
    for form, name in WAYS.items():
        (record,) = load_records(f"{form}:{tmp_path / 'out' / name}", "all")
        np.testing.assert_allclose(record.xy, (finder.found[str(path)][0].xy + 0.5) * 2 - 0.5, atol=2e-3)
        assert record.box is not None
        np.testing.assert_allclose(record.box, (finder.found[str(path)][0].box + 0.5) * 2 - 0.5, atol=2e-3)


class Stops(Counts):
    """Is stopped at the third photograph, as by Ctrl-C."""

    def faces(self, image: Photo) -> list[Face]:
        if len(self.found) == 2:
            raise KeyboardInterrupt
        return super().faces(image)


def test_a_run_that_was_stopped_goes_on_without_loss_or_repetition(tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{name}.png", 2) for name in "abcde"]
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        detect_paths(Stops(), paths, out, list(WAYS), origin=ORIGIN)
    assert not (out / "faces.csv").exists()
    with (out / JOURNAL).open("ab") as journal:
        journal.write(b'{"source": "cut o')
    with pytest.raises(UsageError, match=r"that run had weights \['fifa_tiny'.*repeat its options"):
        detect_paths(Counts(), paths, out, list(WAYS), origin=Origin("other"), resume=True)
    for other, says in (
        ({"measures": True}, "measures False, this"),
        ({"settings": {"flip": True}}, "flip None, this"),
    ):
        with pytest.raises(UsageError, match=f"that run had {says} one has True; repeat its options"):
            detect_paths(Counts(), paths, out, list(WAYS), origin=ORIGIN, resume=True, **other)  # type: ignore[arg-type]
    finder = Counts()
    report = detect_paths(finder, paths, out, list(WAYS), origin=ORIGIN, resume=True)
    assert report.skipped == [str(path) for path in paths[:2]]
    assert list(finder.found) == [str(path) for path in paths[2:]]
    for form, name in WAYS.items():
        found = Counter(record.image.name for record in load_records(f"{form}:{out / name}", "all"))
        assert found == dict.fromkeys(("a.png", "b.png", "c.png", "d.png", "e.png"), 2), form
    assert not (out / JOURNAL).exists()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_folder_of_results_that_is_a_link_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path was counted from the link, where no system looks for it."""
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here/out").symlink_to(tmp_path / "far/away")
    monkeypatch.chdir(tmp_path / "here")
    photo(tmp_path / "here/a.png", 2)
    detect_paths(Counts(), ["a.png"], "out", ("coco",), origin=ORIGIN)
    records = load_records("coco:out/coco.json", "all")
    assert [record.image.resolve() for record in records] == [tmp_path / "here/a.png"] * 2


def test_faces_that_are_found_no_more_are_not_read_back(tmp_path: Path) -> None:
    """Their .pts files stayed, and were read as faces of the annotated picture beside them."""
    out = tmp_path / "out"
    for count in (3, 1):
        sources = [photo(tmp_path / "a.png", count), photo(tmp_path / "b.png", 2)]
        detect_paths(Counts(), sources, out, ("pts", "png"), origin=ORIGIN)
        (out / "a_2b.pts").write_bytes((out / "a.pts").read_bytes())  # a file of the user's stays
    assert sorted(path.name for path in out.glob("*.pts")) == ["a.pts", "a_2b.pts", "b.pts", "b_1.pts"]


def test_without_resume_a_left_journal_is_forgotten(tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{name}.png", 1) for name in "abc"]
    with pytest.raises(KeyboardInterrupt):
        detect_paths(Stops(), paths, tmp_path / "out", ["csv"])
    finder = Counts()
    detect_paths(finder, paths, tmp_path / "out", ["csv"])
    assert len(finder.found) == 3


def test_the_coco_file_says_what_made_it(tmp_path: Path) -> None:
    detect_paths(Counts(), [photo(tmp_path / "a.png", 1)], tmp_path / "out", ["coco"], origin=ORIGIN)
    table = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert table["info"]["source"] == "auto"
    assert table["info"]["weights_sha256"] == ORIGIN.sha256
    assert table["annotations"][0]["source"] == "auto"
    assert table["categories"][0]["scheme"] == "five"
