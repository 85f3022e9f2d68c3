"""Frames out and in again: times, sound, odd sizes, a file that is killed, a full disk."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fiducia.errors import FiduciaError, PlaceLost
from fiducia.video.frames import Frame
from fiducia.video.part import PartFile
from fiducia.video.reader import VideoFile
from fiducia.video.writer import VideoWriter

from .clips import grey_frames, level_of, write_clip

BASE = Fraction(1, 90000)


def copy(source: Path, target: Path) -> VideoWriter:
    video = VideoFile(str(source))
    sound, writer = video.sound, None
    for frame in video:
        if writer is None:
            height, width = frame.image.shape[:2]
            writer = VideoWriter(target, width, height, video.rate, frame.time_base, sound)
        packets, video.packets[:] = list(video.packets), []
        writer.write(frame.image, frame.pts, packets)
    assert writer is not None
    assert writer.close(packets=video.packets) == target
    video.close()
    return writer


def frames_of(path: Path) -> list[Frame]:
    video = VideoFile(str(path))
    frames = list(video)
    video.close()
    return frames


def test_times_and_pictures_come_back(tmp_path: Path) -> None:
    times = [0, 3000, 6100, 9000, 20000, 20050, 90000]
    write_clip(tmp_path / "a.mp4", grey_frames(7), times=times)
    copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    frames = frames_of(tmp_path / "b.mp4")
    assert [f.pts * f.time_base for f in frames] == [Fraction(t, 90000) for t in times]
    assert [level_of(f.image) for f in frames] == list(range(7))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("height", [48, 720])
def test_colours_come_back_and_are_tagged(tmp_path: Path, height: int) -> None:
    colour = np.full((height, 64, 3), (220, 40, 60), np.uint8)
    writer = VideoWriter(tmp_path / "a.mp4", 64, height, Fraction(30), BASE)
    writer.write(colour, 0)
    writer.close()
    (frame,) = frames_of(tmp_path / "a.mp4")
    assert np.abs(frame.image[height // 2, 32].astype(int) - (220, 40, 60)).max() <= 6
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert next(file.decode(video=0)).colorspace == 1


def test_a_video_that_begins_late_keeps_its_times(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.m2ts", grey_frames(5), times=[9000 + 3000 * i for i in range(5)])
    copy(tmp_path / "a.m2ts", tmp_path / "b.mp4")
    before, after = (frames_of(tmp_path / name) for name in ("a.m2ts", "b.mp4"))
    assert before[0].time > 0.05
    assert [f.time for f in after] == pytest.approx([f.time for f in before], abs=1e-4)


def packets_of_sound(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as file:
        return [(float(p.pts * p.time_base), bytes(p)) for p in file.demux(audio=0) if p.dts is not None]  # type: ignore[operator]


def test_the_sound_is_copied_packet_by_packet(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", grey_frames(30), sound="aac")
    writer = copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    before, after = packets_of_sound(tmp_path / "a.mp4"), packets_of_sound(tmp_path / "b.mp4")
    assert len(after) > 20
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    assert writer.left_out == []


def test_sound_that_mp4_does_not_hold_is_left_out_and_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", grey_frames(30), sound="pcm_s16le")
    writer = copy(tmp_path / "a.mkv", tmp_path / "b.mp4")
    assert writer.left_out == ["pcm_s16le"]
    assert len(frames_of(tmp_path / "b.mp4")) == 30


def test_an_odd_size_grows_by_a_pixel(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "odd.mp4", 65, 47, Fraction(30), BASE)
    for i, image in enumerate(grey_frames(3, 65, 47)):
        writer.write(image, 3000 * i)
    writer.write(np.zeros((20, 30, 3), np.uint8), 9000)  # a frame of another size is fitted in
    writer.close()
    assert [f.image.shape for f in frames_of(tmp_path / "odd.mp4")] == [(48, 66, 3)] * 4


def test_the_file_of_a_killed_process_plays(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 64, 48, Fraction(10), BASE)
    for i, image in enumerate(grey_frames(40)):
        writer.write(image, 9000 * i)
    part = tmp_path / "a.part.mp4"
    (tmp_path / "killed.mp4").write_bytes(part.read_bytes())
    assert not (tmp_path / "a.mp4").exists()
    frames = frames_of(tmp_path / "killed.mp4")
    assert 15 <= len(frames) < 40
    assert [level_of(f.image) for f in frames] == list(range(len(frames)))
    writer.close(keep=False)
    assert not part.exists()


class Full:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        if self.file.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [10, 20000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    begin = PartFile.__init__

    def small(self: PartFile, path: Path) -> None:
        begin(self, path)
        self.file = Full(self.file, room)  # type: ignore[assignment]

    monkeypatch.setattr(PartFile, "__init__", small)
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), dtype=np.uint8)

    def write() -> None:
        writer = VideoWriter(tmp_path / "a.mp4", 64, 48, Fraction(10), BASE)
        for i, image in enumerate(noise):
            writer.write(image, 9000 * i)
        writer.close()

    with pytest.raises(FiduciaError, match=r"a\.mp4: cannot be written \(No space left on device\)"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "kind"), [("ENOSPC", PlaceLost), ("EDQUOT", PlaceLost), ("EFBIG", FiduciaError)])
def test_a_disk_or_a_share_of_it_that_is_full_ends_the_run(
    tmp_path: Path, number: str, kind: type[FiduciaError]
) -> None:
    file = PartFile(tmp_path / "a.jsonl")
    file.drop()
    assert type(file.error(OSError(getattr(errno, number), "no room"))) is kind


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match="cannot be written"):
        VideoWriter(tmp_path / "none" / "a.mp4", 64, 48, Fraction(10), BASE)


@pytest.mark.parametrize("rotation", [0, 90])
def test_an_anamorphic_video_keeps_its_proportions(tmp_path: Path, rotation: int) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    write_clip(source, grey_frames(3), rotation=rotation, aspect=Fraction(16, 11))
    frame = first_frame(source)
    assert frame.aspect == (Fraction(11, 16) if rotation else Fraction(16, 11))
    writer = VideoWriter(target, frame.image.shape[1], frame.image.shape[0], Fraction(30), BASE, aspect=frame.aspect)
    writer.write(frame.image, 0)
    writer.close()
    assert first_frame(target).aspect == frame.aspect


def first_frame(path: Path) -> Frame:
    video = VideoFile(str(path))
    try:
        return next(iter(video))
    finally:
        video.close()
