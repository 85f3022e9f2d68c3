from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from dot_faces import DotRuntime, a_face, draw_dots

from fiducia.data.formats.pts import read_pts
from fiducia.errors import FiduciaError, UsageError
from fiducia.faces import Face
from fiducia.images import read_image, write_image
from fiducia.predict.batches import Found
from fiducia.predict.clips import NoStop, write_clip
from fiducia.predict.detect import Report, detect_paths
from fiducia.predict.inputs import Photo
from fiducia.predict.outputs import Origin
from fiducia.predict.outputs.csv_table import CsvTable
from fiducia.predict.outputs.frames import Clip, FrameSink
from fiducia.predict.outputs.json_lines import JsonLines
from fiducia.predict.watcher import Watcher
from fiducia.structures import Detection
from fiducia.video.loop import FaceTracker
from fiducia.video.opening import Pictures

FACES = [a_face(40, 50, 90), a_face(220, 60, 60)]
SHA = "5f" * 32


class FindsTwo:
    """Finds FACES wherever the photograph is not black."""

    batch_size = 2

    def __init__(self) -> None:
        self.runtime = DotRuntime()

    def find(self, image: Photo) -> Found:
        return image, [Detection(box=np.zeros(4), score=1.0)] * 2

    def predict(self, photos: Sequence[Found]) -> list[list[Face]]:
        return [self.faces(image) for image, _ in photos]

    def faces(self, image: Photo) -> list[Face]:
        sure = np.ones(4, np.float32)
        return [
            Face(
                xy=face.astype(np.float32),
                confidence=sure,
                box=np.r_[face.min(0), face.max(0)].astype(np.float32),
                scheme=self.runtime.scheme,
                score=0.25,
                id=number,
            )
            for number, face in enumerate(FACES if image.image.any() else [])
        ]


def run(
    tmp_path: Path, inputs: list[Path], formats: str = "json,png,pts,csv,coco", resume: bool = False
) -> tuple[Report, list[tuple[str, int | None, str]]]:
    said: list[tuple[str, int | None, str]] = []
    origin = Origin("dots_tiny", SHA)

    class Listens(Watcher):
        def done(self, source: str, faces: int, first: str) -> None:
            said.append((source, faces, first))

        def failed(self, source: str, line: str) -> None:
            said.append((source, None, line))

    report = detect_paths(FindsTwo(), inputs, tmp_path / "out", formats.split(","), Listens(), origin, resume)
    return report, said


def photo(path: Path, faces: bool = True) -> Path:
    write_image(path, draw_dots((240, 320), FACES if faces else []))
    return path


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_json_is_the_documented_object(tmp_path: Path) -> None:
    source = photo(tmp_path / "two.png")
    report, said = run(tmp_path, [source], "json")
    table = json.loads((tmp_path / "out/two.json").read_text())
    assert list(table) == ["image", "width", "height", "faces", "source", "weights", "weights_sha256"]
    assert [table[key] for key in ("source", "weights", "weights_sha256")] == ["auto", "dots_tiny", SHA]
    assert (table["image"], table["width"], table["height"]) == (str(source), 320, 240)
    assert [list(f) for f in table["faces"]] == [["box", "score", "points", "confidence", "scheme", "id"]] * 2
    for face, truth, number in zip(table["faces"], FACES, (0, 1), strict=True):
        assert face["box"] == [*truth.min(0), *truth.max(0)]
        np.testing.assert_allclose(face["points"], truth, atol=0.3)
        assert face["confidence"] == [1, 1, 1, 1]
        assert (face["scheme"], face["score"], face["id"]) == ("dots", 0.25, number)
    assert said == [(str(source), 2, str(tmp_path / "out/two.json"))]
    assert (report.done, report.failed) == ([str(source)], [])


def test_every_format_says_the_same(tmp_path: Path) -> None:
    sources = [photo(tmp_path / "a.png"), photo(tmp_path / "none.png", faces=False), photo(tmp_path / "b.png")]
    report, said = run(tmp_path, sources)
    out = tmp_path / "out"
    own = {"a.json", "a.png", "a.pts", "a_1.pts", "b.json", "b.png", "b.pts", "b_1.pts", "none.json", "none.png"}
    assert set(files(out)) == own | {"faces.csv", "coco.json", "pts.json"}
    assert {str(p) for p in report.written} == {str(out / f) for f in files(out)}
    assert [(count, message) for _, count, message in said] == [
        (2, str(out / "a.png")), (0, str(out / "none.png")), (2, str(out / "b.png")),
    ]  # fmt: skip
    points = [f["points"] for f in json.loads((out / "b.json").read_text())["faces"]]
    np.testing.assert_allclose(read_pts(out / "b.pts"), points[0], atol=1e-3)
    np.testing.assert_allclose(read_pts(out / "b_1.pts"), points[1], atol=1e-3)
    assert (out / "b.pts").read_text().startswith("version: 1\nn_points: 4\n{\n")
    first = [float(v) for v in (out / "b.pts").read_text().splitlines()[3].split()]
    np.testing.assert_allclose(first, np.array(points[0][0]) + 1, atol=1e-3)  # .pts counts from 1
    text = (out / "faces.csv").read_text()
    header = text.splitlines()[0].split(",")
    assert len(set(header)) == len(header) == 14 + 3 * 4
    rows = list(csv.DictReader(text.splitlines()))
    assert [(r["image"], r["id"]) for r in rows] == [(str(s), i) for s in (sources[0], sources[2]) for i in "01"]
    assert [[float(rows[3][f"{a}{i}"]) for a in "xy"] for i in range(4)] == points[1]
    assert [float(rows[3][k]) for k in ("box_x1", "box_y1", "box_x2", "box_y2", "score", "confidence2")] == [
        220,
        60,
        280,
        120,
        0.25,
        1,
    ]
    coco = json.loads((out / "coco.json").read_text())
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in coco["images"]] == [
        (n, str(s), 320, 240) for n, s in enumerate(sources, 1)
    ]
    assert [(a["id"], a["image_id"]) for a in coco["annotations"]] == [(1, 1), (2, 1), (3, 3), (4, 3)]
    last = coco["annotations"][3]
    assert np.reshape(last["keypoints"], (4, 3)).tolist() == [[x, y, 2] for x, y in points[1]]
    assert (last["bbox"], last["area"], last["num_keypoints"], last["iscrowd"]) == ([220, 60, 60, 60], 3600, 4, 0)
    assert coco["categories"][0]["keypoints"] == [f"point_{i}" for i in range(4)]
    assert coco["categories"][0]["skeleton"] == [[1, 2]]
    picture = read_image(out / "a.png")
    assert picture.shape == (240, 320, 3)
    assert (picture != read_image(sources[0])).any()
    np.testing.assert_array_equal(read_image(out / "none.png"), 0)


def test_no_face_is_an_empty_list(tmp_path: Path) -> None:
    report, said = run(tmp_path, [photo(tmp_path / "none.png", faces=False)])
    assert json.loads((tmp_path / "out/none.json").read_text())["faces"] == []
    assert (tmp_path / "out/faces.csv").read_text().count("\n") == 1
    assert json.loads((tmp_path / "out/coco.json").read_text())["annotations"] == []
    assert said[0][1] == 0
    assert not report.failed


def test_folders_are_searched_in_order_and_results_are_not_read_again(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "deep/er/c.JPG", "deep/.hidden.png", ".cache/d.png", "out/old.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photograph")
    report, _ = run(tmp_path, [tmp_path, tmp_path / "a.png"], "json")
    assert [Path(d).name for d in report.done] == ["a.png", "b.png", "c.JPG"]
    again, _ = run(tmp_path, [tmp_path], "json,png")
    assert again.done == report.done
    assert not (tmp_path / "out/old.json").exists()
    inside, _ = run(tmp_path, [tmp_path / "out"], "json")
    assert [Path(d).name for d in inside.done] == ["a.png", "b.png", "c.png", "old.png"]


def test_an_empty_folder_is_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report, said = run(tmp_path, [tmp_path / "empty", photo(tmp_path / "a.png")], "json")
    assert [name for name, _ in report.failed] == [str(tmp_path / "empty")]
    assert "without photographs" in said[0][2]
    assert len(report.done) == 1


def test_equal_stems_do_not_overwrite_each_other(tmp_path: Path) -> None:
    names = ["x/a.png", "y/a.png", "y/A.jpg", "a~2.png", "a_1.png", "coco.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photo(tmp_path / name)
    report, _ = run(tmp_path, [tmp_path / n for n in names], "json,pts,coco")
    assert len(report.done) == 6
    written = [str(p) for p in report.written]
    assert len({w.casefold() for w in written}) == len(written) == 6 + 12 + 2
    assert sorted(written) == [str(tmp_path / "out" / f) for f in files(tmp_path / "out")]
    stems = {}
    for path in (tmp_path / "out").glob("*.json"):
        table = json.loads(path.read_text())
        if "image" in table:
            stems[Path(table["image"]).relative_to(tmp_path).as_posix()] = path.stem
    assert stems == {
        "x/a.png": "a", "y/a.png": "a~3", "y/A.jpg": "A~4", "a~2.png": "a~2", "a_1.png": "a_1", "coco.png": "coco~2",
    }  # fmt: skip
    # The second face of "a" makes way for the photograph "a_1".
    assert (tmp_path / "out/a~face1.pts").exists()


def test_a_result_never_replaces_its_photograph(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    source = photo(tmp_path / "out/a.png")
    before = source.read_bytes()
    report, said = run(tmp_path, [source], "json,png")
    assert source.read_bytes() == before
    assert files(tmp_path / "out") == ["a.png"]
    assert "would replace an input" in said[0][2]
    assert report.done == []


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo(tmp_path / "a.png").read_bytes()[:400])
    report, said = run(tmp_path, [broken, tmp_path / "a.png", tmp_path / "gone.png"])
    assert [Path(d).name for d in report.done] == ["a.png"]
    assert [Path(n).name for n, _ in report.failed] == ["broken.png", "gone.png"]
    assert all(name in message and "\n" not in message for name, message in report.failed)
    assert [count for _, count, _ in said] == [None, 2, None]
    assert files(tmp_path / "out") == ["a.json", "a.png", "a.pts", "a_1.pts", "coco.json", "faces.csv", "pts.json"]
    assert len(json.loads((tmp_path / "out/coco.json").read_text())["images"]) == 1


def test_a_failure_while_drawing_leaves_nothing_of_that_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("fiducia.predict.outputs.picture.draw_faces", fail)
    report, said = run(tmp_path, [photo(tmp_path / "a.png")], "json,pts,png")
    assert files(tmp_path / "out") == ["pts.json"]
    assert json.loads((tmp_path / "out" / "pts.json").read_text()) == {"faces": {}}
    assert "not enough memory" in said[0][2]
    assert len(report.failed) == 1


@pytest.mark.parametrize(("formats", "says"), [("jsn", "did you mean 'json'"), ("", "empty"), ("json,PNG", "PNG")])
def test_unknown_formats(tmp_path: Path, formats: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(tmp_path, [photo(tmp_path / "a.png")], formats)
    assert not (tmp_path / "out").exists()


def test_out_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="cannot be a folder"):
        run(tmp_path, [photo(tmp_path / "a.png")])


def test_no_unfinished_file_of_a_video_stays_where_another_cannot_be_begun(tmp_path: Path) -> None:
    class Shut(CsvTable):
        def open_video(self, clip: Clip) -> FrameSink:
            raise FiduciaError("cannot be written")

    video = Pictures([np.zeros((4, 4, 3), np.uint8)])
    clip = Clip("clip.mp4", "clip", tmp_path, DotRuntime().scheme, Origin(), video)
    follow = FaceTracker(SimpleNamespace())  # type: ignore[arg-type]
    with pytest.raises(FiduciaError, match="cannot be written"):
        write_clip(clip, [JsonLines(), Shut()], follow, NoStop())
    assert list(tmp_path.iterdir()) == []
