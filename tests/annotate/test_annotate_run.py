"""A run in one process: rows, faults, going on, other options, a full disk, the COCO file and the summary."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from annotate_results import Heard, here, only, rows
from light_predictor import BAD, NONE, LightPredictor

import fiducia.files
from fiducia.annotate.annotator import Annotator
from fiducia.annotate.attempts import BATCH, WRITING, Attempt
from fiducia.annotate.finish import finish
from fiducia.annotate.job import Job
from fiducia.annotate.parts import done_chunks, part
from fiducia.annotate.run import annotate
from fiducia.annotate.schema import faces_schema, photographs_schema
from fiducia.annotate.sources import collect
from fiducia.annotate.units import cut
from fiducia.commands import annotate as command
from fiducia.errors import FiduciaError, PlaceLost, UsageError
from fiducia.predict.detect import detect_paths
from networks import small, write_small

Write = Callable[[Sequence[int]], Path]
HEIGHTS = [40, NONE, 40, BAD, 40, 40, 40, NONE, 40, 40]


def go(folder: Path, job: Job, engine: Any = here, chunk: int = 3) -> dict[str, Any]:
    return annotate([str(folder)], job, engine, Heard(), chunk)


def test_every_photograph_has_one_row_and_every_face(photographs: Write, job: Job) -> None:
    folder = photographs(HEIGHTS)
    go(folder, job)
    found = rows(job.out, "photographs")
    assert [row["photograph"] for row in found] == [f"{folder}/{i:03d}.png" for i in range(10)]
    assert [row["position"] for row in found] == list(range(10))
    assert [row["faces"] for row in found] == [int(height == 40) for height in HEIGHTS]
    assert [row["status"] for row in found] == ["failed" if height == BAD else "done" for height in HEIGHTS]
    assert found[3]["error"] == f"{folder}/003.png: is 42 pixels high"
    assert (found[4]["width"], found[4]["height"]) == (60, 40)
    faces = rows(job.out, "faces")
    assert [row["position"] for row in faces] == [i for i, height in enumerate(HEIGHTS) if height == 40]
    pixels = cv2.imread(str(folder / "005.png"))[:5, :2, 2]
    assert faces[3]["photograph"] == f"{folder}/005.png"
    assert np.array_equal(np.reshape(faces[3]["points"], (5, 2)), pixels + 0.125)
    assert faces[3]["box"] == [1, 2, 30, 40]


def test_all_parts_have_the_schemas_that_are_documented(photographs: Write, job: Job) -> None:
    go(photographs([NONE, 40]), job, chunk=1)
    text = (Path(__file__).parents[2] / "docs" / "annotate.md").read_text(encoding="utf-8")
    for table, schema in (("faces", faces_schema()), ("photographs", photographs_schema())):
        for number in (0, 1):
            assert pq.read_schema(part(job.folder, table, number)).equals(schema)
        for field in schema:
            kind = str(field.type).replace("element: ", "").replace(" not null", "")
            assert f"| `{field.name}` | {kind} |" in text, field


def test_rows_are_those_that_detect_writes(tmp_path: Path, photographs: Write) -> None:
    folder = photographs([40, 60, 80, 40, 50])
    weights = write_small(tmp_path / "w.safetensors", small())
    job = Job(out=str(tmp_path / "out"), weights=str(weights), detector="whole", runtime="torch", device="cpu")
    annotate([str(folder)], job, lambda job, chunks: map(Annotator(job), chunks), Heard(), 5)  # type: ignore[arg-type]
    predictor = job.load()
    detect_paths(predictor, [folder], tmp_path / "json", ["json"], origin=predictor.origin)
    faces = rows(job.out, "faces")
    assert len(faces) == 5
    for row in faces:
        table = json.loads((tmp_path / "json" / f"{Path(row['photograph']).stem}.json").read_text())
        (face,) = table["faces"]
        assert (row["width"], row["height"], row["face"]) == (table["width"], table["height"], face["id"])
        assert (row["weights"], row["weights_sha256"]) == (table["weights"], table["weights_sha256"])
        assert np.array_equal(np.float32(row["points"]).reshape(-1, 2), np.float32(face["points"]))
        for key in ("box", "confidence", "score"):
            assert np.array_equal(np.float32(row[key]), np.float32(face[key])), key


def test_a_run_that_was_stopped_goes_on_and_does_nothing_twice(photographs: Write, job: Job) -> None:
    folder = photographs(HEIGHTS)
    with pytest.raises(KeyboardInterrupt):
        go(folder, job, only(2))
    assert done_chunks(job.folder) == {0, 1}
    before = {number: part(job.folder, "faces", number).stat().st_mtime_ns for number in (0, 1)}
    # A chunk counts only with both of its parts; what was half written goes.
    part(job.folder, "faces", 2).write_bytes(b"torn")
    (job.folder / "faces" / ".fiducia-1-ff.tmp").touch()
    heard = Heard()
    annotate([str(folder)], job, here, heard, 3)
    assert (heard.total, heard.before, [report.number for report in heard.reports]) == (10, 6, [2, 3])
    assert {number: part(job.folder, "faces", number).stat().st_mtime_ns for number in (0, 1)} == before
    other = replace(job, out=f"{job.out}2")
    go(folder, other)
    for table in ("faces", "photographs"):
        assert rows(job.out, table) == rows(other.out, table)
    assert sorted(path.name for path in job.folder.iterdir()) == ["annotate.json", "faces", "photographs"]
    assert not list(job.folder.rglob("*.tmp"))
    assert go(folder, job)["photographs"] == 10


def test_another_run_in_the_same_folder_is_refused_with_what_differs(photographs: Write, job: Job) -> None:
    folder = photographs([40, 40])
    go(folder, job)
    with pytest.raises(UsageError, match=r"holds another run: min_face was 0\.0, now 9\.0; repeat its options"):
        go(folder, replace(job, min_face=9.0))
    with pytest.raises(UsageError, match='weights was "fifa_tiny", now "fifa_small"; weights_sha256 was'):
        go(folder, replace(job, weights="fifa_small"))
    cv2.imwrite(str(folder / "new.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(UsageError, match=r"holds another run: photographs was 2, now 3; repeat"):
        go(folder, job)
    (folder / "new.png").unlink()
    cv2.imwrite(str(folder / "001.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(
        UsageError, match="another run: the images have other names, another order or other sizes; repeat"
    ):
        go(folder, job)
    (job.folder / "annotate.json").unlink()
    with pytest.raises(UsageError, match=r"holds results without annotate\.json"):
        go(folder, job)


def test_a_full_disk_is_one_line_and_the_parts_so_far_are_whole(
    photographs: Write, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photographs(HEIGHTS)
    real, written = fiducia.files.os.fsync, []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(fiducia.files.os, "fsync", full)
    with pytest.raises(PlaceLost, match=r"part-0000\d\d\.parquet: cannot be written \(No space left on device\)"):
        go(folder, job, chunk=1)
    done = done_chunks(job.folder)
    assert done == {0, 1}
    assert [row["position"] for row in rows(job.out, "photographs")] == [0, 1]
    monkeypatch.undo()
    go(folder, job, chunk=1)
    assert len(rows(job.out, "photographs")) == 10


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes UTF-8 alone")
def test_names_in_no_encoding_are_spelled_out(photographs: Write, job: Job) -> None:
    folder = photographs([40, BAD])
    for number in (0, 1):
        (folder / f"00{number}.png").rename(os.fsdecode(os.fsencode(folder) + b"/%d\xe9\n.png" % number))
    found = finish(job.folder, go(folder, job), "fifa_tiny")
    good, bad = rows(job.out, "photographs")
    assert good["photograph"] == rows(job.out, "faces")[0]["photograph"] == f"{folder}/0\\xe9\n.png"
    assert (good["status"], bad["status"], found.faces, found.failed) == ("done", "failed", 1, 1)
    assert bad["error"] == f"{folder}/1\\xe9 .png: is 42 pixels high"
    assert dict(found.reasons) == {"is N pixels high": 1}
    assert f"<li>{bad['error']}</li>" in (job.folder / "summary.html").read_text()
    (image,) = json.loads((job.folder / "coco.json").read_text())["images"]
    assert image["file_name"] == good["photograph"]


def test_parts_that_are_missing_or_too_many_are_told(photographs: Write, job: Job) -> None:
    folder = photographs([40, 40])
    facts = go(folder, job, chunk=1)
    part(job.folder, "photographs", 7).write_bytes(part(job.folder, "photographs", 0).read_bytes())
    part(job.folder, "faces", 7).write_bytes(part(job.folder, "faces", 0).read_bytes())
    with pytest.raises(FiduciaError, match="3 photographs in the parts, 2 expected"):
        finish(job.folder, facts)


def test_a_photograph_whose_package_is_missing_ends_no_run_wherever_it_lies(
    photographs: Write, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shard or a table it ended the whole run; in a folder it did not."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder = photographs([40])
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(12) + b"\0\0\0\x14ispe" + bytes(6) + b"\0\x09" + bytes(2) + b"\0\x09"
    (folder / "a.heic").write_bytes(heic)
    with tarfile.open(folder / "s.tar", "w") as tar:
        info = tarfile.TarInfo("b.heic")
        info.size = len(heic)
        tar.addfile(info, io.BytesIO(heic))
    pq.write_table(pa.table({"image": [heic]}), folder / "t.parquet")
    go(folder, job)
    found = rows(job.out, "photographs")
    assert [row["status"] for row in found] == ["done", "failed", "failed", "failed"]
    assert all("a HEIC photograph" in row["error"] for row in found[1:])


def test_the_coco_file_and_the_summary(photographs: Write, job: Job) -> None:
    folder = photographs(HEIGHTS)
    found = finish(job.folder, go(folder, job), "fifa_tiny")
    assert found.line() == "7 faces in 9 images, no face in 2, 1 failed"
    coco = json.loads((job.folder / "coco.json").read_text())
    assert [Path(image["file_name"]).name for image in coco["images"]] == [
        f"{i:03d}.png" for i, height in enumerate(HEIGHTS) if height != BAD
    ]
    assert len(coco["annotations"]) == 7
    assert coco["annotations"][0]["bbox"] == [1, 2, 29, 38]
    page = (job.folder / "summary.html").read_text()
    assert "10 images annotated" in page
    assert f"{folder}/003.png: is 42 pixels high" in page
    assert f"<li>{folder}/001.png</li>" in page
    assert "is N pixels high" in page
    assert "<script" not in page


def test_the_coco_file_has_the_quality_that_the_rows_have(
    photographs: Write, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LightPredictor._face
    monkeypatch.setattr(LightPredictor, "_face", lambda *told: replace(plain(*told), quality=0.1234))
    finish(job.folder, go(photographs([40]), job), "fifa_tiny")
    assert json.loads((job.folder / "coco.json").read_text())["annotations"][0]["quality"] == 0.1234


def test_deaths_are_counted_by_photograph_and_by_batch(tmp_path: Path) -> None:
    for place in (3, BATCH, 3, BATCH):
        attempt = Attempt(tmp_path, 5, "run")
        attempt.at(place)  # and the worker is gone
    attempt = Attempt(tmp_path, 5, "run")
    assert attempt.deadly == {3: 2}
    assert attempt.singly
    attempt.at(4)
    # The whole run ended while 4 was in work: nobody knows that 4 was to blame.
    assert Attempt(tmp_path, 5, "another").deadly == {3: 2}
    assert 4 not in Attempt(tmp_path, 5, "another")._deaths
    attempt.end()
    assert not Attempt(tmp_path, 5, "run").deadly


def test_workers_that_end_while_they_write_do_not_end_for_ever(tmp_path: Path) -> None:
    for _ in range(3):
        attempt = Attempt(tmp_path, 5, "run")
        assert not attempt.deadly
        attempt.at(WRITING)
    with pytest.raises(FiduciaError, match="part 000005: 3 workers ended while they wrote it; use fewer --workers"):
        Attempt(tmp_path, 5, "run")
    assert not Attempt(tmp_path, 5, "another")._deaths


def test_a_video_is_a_chunk_with_a_row_a_frame(tmp_path: Path, job: Job) -> None:
    pytest.importorskip("av", reason="needs the extra video")
    from fiducia.detectors.registry import get_detector

    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), 30 * i, np.uint8))
    writer.release()
    broken = tmp_path / "torn.mp4"
    broken.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 40)
    weights = write_small(tmp_path / "w.safetensors", small())
    job = replace(job, weights=str(weights), detector="whole", runtime="torch", device="cpu", plugins=())
    chunks = cut(collect([str(path), str(broken)], job.folder), 64)
    predictor = job.load()
    predictor.detector = get_detector("whole")
    annotator = Annotator(job, predictor)
    reports = [annotator(chunk) for chunk in chunks]
    assert [report.photographs for report in reports] == [1, 1]
    film, torn = rows(job.out, "photographs")
    assert (film["frames"], film["status"], film["width"]) == (5, "done", 64)
    assert (torn["status"], torn["faces"]) == ("failed", 0)
    faces = rows(job.out, "faces")
    assert film["faces"] == len(faces)
    assert [row["frame"] for row in faces] == sorted(row["frame"] for row in faces)
    assert all(row["time"] == pytest.approx(row["frame"] / 10) for row in faces)


def test_a_gpu_is_for_one_process_whether_it_is_named_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "on_cpu", lambda device: device == "cpu")
    assert [command._processes("local", device, 16) for device in ("auto", "cuda", "cpu")] == [1, 1, 16]
    assert command._processes("ray", "auto", 16) == 16
