"""Videos on the command line: what is written, bad input, Ctrl-C, a camera that vanishes."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fiducia.cli import main
from fiducia.video import camera
from fiducia.video.reader import VideoFile

av = pytest.importorskip("av")

ASTRONAUT = Path(__file__).parents[2] / "assets" / "astronaut.jpg"


def film(path: Path, count: int = 12, step: float = 3.0, **options: Any) -> Path:
    """Write a video in which the astronaut's picture moves to the right by ``step`` pixels a frame."""
    picture = cv2.resize(cv2.imread(str(ASTRONAUT)), (256, 256))[..., ::-1]
    with av.open(str(path), "w", **options) as out:
        stream = out.add_stream("libx264", rate=30, options={"bf": "0", "g": "6", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 320, 256, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        for i in range(count):
            frame = np.full((256, 320, 3), 100, np.uint8)
            x = round(step * i)
            frame[:, x : x + 256] = picture[:, : 320 - x]
            moved = av.VideoFrame.from_ndarray(frame, format="rgb24")
            moved.pts, moved.time_base = 3000 * i, Fraction(1, 90000)
            out.mux(stream.encode(moved))
        out.mux(stream.encode(None))
    return path


class Ran:
    def __init__(self, status: int, out: str, err: str, folder: Path) -> None:
        self.status, self.out, self.err, self.folder = status, out, err, folder
        self.files = sorted(p.name for p in folder.rglob("*")) if folder.exists() else []


@pytest.fixture
def detect(tmp_path: Path, make_weights: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: object, weights: object = None, detector: str = "whole", formats: str = "json,png") -> Ran:
        words = ["detect", *map(str, arguments), "--weights", str(weights or make_weights()), "--detector", detector]
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*words, "--out", str(tmp_path / "out"), "--format", formats, "--device", "cpu"])
        out, err = capfd.readouterr()
        return Ran(int(caught.value.code or 0), out, err, tmp_path / "out")

    return run


def frames_of(path: Path) -> list[np.ndarray]:
    video = VideoFile(str(path))
    try:
        return [frame.image for frame in video]
    finally:
        video.close()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_face_keeps_its_id_and_moves_with_the_picture(detect: Callable[..., Ran], tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4")
    ran = detect(clip, weights="fifa_tiny", detector="auto", formats="json,png,csv,mp4,jsonl")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"{clip} (12 frames): 1 face -> {tmp_path / 'out' / 'clip.mp4'}\n"
    # The words json and jsonl, png and mp4 mean one file for a video.
    assert ran.files == ["clip.csv", "clip.jsonl", "clip.mp4"]
    lines = lines_of(ran.folder / "clip.jsonl")
    assert [line["frame"] for line in lines] == list(range(12))
    assert [line["time"] for line in lines] == pytest.approx([i / 30 for i in range(12)], abs=1e-6)
    assert (lines[0]["video"], lines[0]["width"], lines[0]["height"]) == (str(clip), 320, 256)
    assert lines[0]["runtime"]
    assert [[face["id"] for face in line["faces"]] for line in lines] == [[0]] * 12
    nose = np.array([line["faces"][0]["points"][30] for line in lines])
    moved = nose - nose[0] - np.stack([3.0 * np.arange(12), np.zeros(12)], axis=1)
    assert np.abs(moved).max() < 3
    with (ran.folder / "clip.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["id"]) for row in rows] == [(str(i), "0") for i in range(12)]
    assert float(rows[5]["x30"]) == lines[5]["faces"][0]["points"][30][0]
    assert float(rows[5]["time"]) == lines[5]["time"]
    drawn, plain = frames_of(ran.folder / "clip.mp4"), frames_of(clip)
    assert len(drawn) == len(plain) == 12
    x, y = nose[6].astype(int)
    at_the_nose = (slice(y - 3, y + 4), slice(x - 3, x + 4))
    assert np.abs(drawn[6][at_the_nose].astype(int) - plain[6][at_the_nose]).mean() > 15
    assert np.abs(drawn[6][200:, :40].astype(int) - plain[6][200:, :40]).mean() < 4


def test_photographs_and_videos_of_one_folder(detect: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film(tmp_path / "in" / "a.mp4", 3)
    (tmp_path / "in" / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no photograph")
    ran = detect(tmp_path / "in", formats="json,png,csv,coco,pts")
    assert (ran.status, ran.err) == (0, "")
    shown = ["a.json", "a.png", "a.pts", "a~2.csv", "a~2.jsonl", "a~2.mp4", "coco.json", "faces.csv", "pts.json"]
    assert ran.files == shown
    # Tables of photographs hold photographs only.
    assert len(json.loads((ran.folder / "coco.json").read_text())["images"]) == 1
    assert len((ran.folder / "faces.csv").read_text().splitlines()) == 2


def test_a_format_without_videos_is_one_line(detect: Callable[..., Ran], tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", 2)
    ran = detect(clip, ASTRONAUT, formats="pts")
    assert ran.status == 1
    assert ran.err.splitlines()[0] == (
        f"fiducia: {clip}: a video, which none of the formats asked for holds; add mp4, jsonl or csv to --format"
    )
    assert ran.files == ["astronaut.pts", "pts.json"]
    ran = detect(clip, ASTRONAUT, formats="mp4")
    assert (ran.status, "clip.mp4" in ran.files) == (1, True)
    assert ran.err.splitlines()[0] == (
        f"fiducia: {ASTRONAUT}: a photograph, which none of the formats asked for holds; add png, json or csv to --format"
    )


def test_boxes_of_a_file_are_for_photographs_and_a_video_between_them_ends_nothing(
    detect: Callable[..., Ran], tmp_path: Path
) -> None:
    clip = film(tmp_path / "b.mp4", 2)
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(ASTRONAUT.read_bytes())
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({name: [[180, 70, 270, 180]] for name in ("a.jpg", "c.jpg")}))
    ran = detect(tmp_path / "a.jpg", clip, tmp_path / "c.jpg", detector=str(boxes), formats="json")
    assert ran.err.splitlines() == [
        f"fiducia: {clip}: a video needs a detector that looks at pictures, such as detector='auto'",
        "fiducia: 1 of 3 inputs failed",
    ]
    assert (ran.status, ran.files) == (1, ["a.json", "c.json"])


def test_bad_videos_are_one_line_each_and_the_others_are_done(detect: Callable[..., Ran], tmp_path: Path) -> None:
    good = film(tmp_path / "good.mp4", 3)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.mp4").write_text("this is a letter")
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:2000])
    bad = [tmp_path / name for name in ("empty.mp4", "letter.mp4", "cut.mp4", "missing.mp4")]
    ran = detect(*bad, good)
    assert ran.status == 1
    *said, last = ran.err.splitlines()
    assert [line.startswith(f"fiducia: {path}: ") for line, path in zip(said, bad, strict=True)] == [True] * 4
    assert last == "fiducia: 4 of 5 inputs failed"
    assert ran.files == ["good.jsonl", "good.mp4"]


def test_a_video_that_is_cut_short_is_done_up_to_there(detect: Callable[..., Ran], tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", 20, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    ran = detect(cut)
    assert ran.status == 1
    assert ran.err.startswith(f"fiducia: {cut}: ends after ")
    assert f"results up to there are in {tmp_path / 'out'}" in ran.err.splitlines()[0]
    lines = lines_of(ran.folder / "cut.jsonl")
    assert 3 <= len(lines) < 20
    assert len(frames_of(ran.folder / "cut.mp4")) == len(lines)


def test_a_result_never_replaces_its_input(detect: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    clip = film(tmp_path / "out" / "clip.mp4", 3)
    before = clip.read_bytes()
    ran = detect(clip)
    assert ran.status == 1
    assert "would replace an input; choose another --out" in ran.err
    assert clip.read_bytes() == before
    assert ran.files == ["clip.mp4"]


def test_the_first_seconds_only(detect: Callable[..., Ran], tmp_path: Path) -> None:
    ran = detect(film(tmp_path / "clip.mp4"), "--seconds", "0.1", "--raw", "--every", "1")
    assert (ran.status, ran.err) == (0, "")
    assert len(lines_of(ran.folder / "clip.jsonl")) == 3


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Send this process Ctrl-C when so many frames were read."""

    def after(count: int) -> None:
        plain, sent = VideoFile.__iter__, []

        def read(self: VideoFile) -> Iterator[Any]:
            for frame in plain(self):
                if frame.index == count and not sent:
                    sent.append(True)
                    os.kill(os.getpid(), signal.SIGINT)
                yield frame

        monkeypatch.setattr(VideoFile, "__iter__", read)

    before = signal.getsignal(signal.SIGINT)
    yield after
    assert signal.getsignal(signal.SIGINT) is before


def test_after_ctrl_c_the_files_are_whole_up_to_there(
    detect: Callable[..., Ran], tmp_path: Path, interrupt: Callable[[int], None]
) -> None:
    interrupt(6)
    clip = film(tmp_path / "clip.mp4")
    ran = detect(clip, ASTRONAUT)
    assert ran.status == 130
    assert ran.err == (
        f"fiducia: {clip}: stopped after 7 frames; results up to there are in {tmp_path / 'out'}; "
        "go on with --resume, which begins this video anew\n"
    )
    assert len(frames_of(ran.folder / "clip.mp4")) == 7
    assert len(lines_of(ran.folder / "clip.jsonl")) == 7
    assert [name for name in ran.files if "part" in name or "astronaut" in name] == []


class FakeCamera:
    """Stands for ``cv2.VideoCapture``: gives so many pictures, and then is unplugged."""

    pictures = 5

    def __init__(self, number: int) -> None:
        self.left = self.pictures if number == 0 else -1
        self.released = False

    def isOpened(self) -> bool:
        return self.left >= 0

    def set(self, *_: float) -> None:
        pass

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.full((48, 64, 3), 90, np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_that_vanishes_leaves_what_it_gave(
    detect: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(camera.cv2, "VideoCapture", FakeCamera)
    ran = detect("0")
    assert ran.status == 1
    assert ran.err.startswith("fiducia: camera 0: gave no more pictures after 0.")
    assert ran.files == ["camera0.jsonl", "camera0.mp4"]
    lines = lines_of(ran.folder / "camera0.jsonl")
    assert [line["frame"] for line in lines] == list(range(5))
    assert lines[0]["video"] == "camera 0"
    assert all(a["time"] < b["time"] for a, b in itertools.pairwise(lines))
    assert len(frames_of(ran.folder / "camera0.mp4")) == 5


@pytest.mark.parametrize(("number", "pictures", "says"), [("7", 5, "cannot be opened"), ("0", 0, "gives no picture")])
def test_a_camera_that_is_not_there(
    detect: Callable[..., Ran],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    pictures: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FakeCamera, "pictures", pictures)
    monkeypatch.setattr(camera.cv2, "VideoCapture", FakeCamera)
    ran = detect(number)
    assert ran.status == 1
    assert ran.err.startswith(f"fiducia: camera {number}: ")
    assert says in ran.err
    assert ran.files == []


def test_a_real_camera_that_is_not_there_says_one_line(detect: Callable[..., Ran], tmp_path: Path) -> None:
    if Path("/dev/video99").exists():
        pytest.skip("there is a camera 99")
    ran = detect("99")
    assert ran.status == 1
    assert len(ran.err.splitlines()) == 2
    assert ran.err.startswith("fiducia: camera 99: cannot be opened")
