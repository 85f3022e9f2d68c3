"""A video given to the call for photographs, and the other way round: one line says which call takes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from dot_faces import DotRuntime
from PIL import Image

from fiducia.detectors.base import Detection
from fiducia.errors import FiduciaError
from fiducia.images import write_image
from fiducia.predict.predictor import Predictor

PIXELS = np.full((48, 64, 3), 100, np.uint8)


class Nobody:
    """A detector that sees nobody."""

    name = "nobody"

    def __call__(self, image: object) -> list[Detection]:
        return []


@pytest.fixture
def predictor(dots: DotRuntime) -> Predictor:
    return Predictor(dots, Nobody())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    pytest.importorskip("av", reason="needs the video extra")
    from video.clips import grey_frames, write_clip

    write_clip(tmp_path / "clip.mp4", grey_frames(2))
    return tmp_path / "clip.mp4"


def one_line(error: pytest.ExceptionInfo[FiduciaError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_video_given_to_the_call_for_photographs_points_to_video(predictor: Predictor, clip: Path) -> None:
    with pytest.raises(FiduciaError) as told:
        predictor(str(clip))
    assert one_line(told) == f"{clip}: is a video, not a photograph; follow its faces with predictor.video('{clip}')"
    photo = Path(shutil.copy(clip, clip.with_suffix(".jpg")))
    with pytest.raises(FiduciaError, match=r"clip\.jpg: is a video.*predictor\.video\("):
        predictor([photo])
    with pytest.raises(FiduciaError, match=r"image bytes: are a video.*predictor\.video\(FILE\)"):
        predictor(clip.read_bytes())


def test_other_errors_of_the_call_stay_what_they_are(predictor: Predictor, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the video extra")
    (tmp_path / "notes.mp4").write_text("no video at all")
    for source, says in (
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path / "notes.mp4", "a text file"),
        (b"x", "a text"),
    ):
        with pytest.raises(FiduciaError, match=says):
            predictor(source)
        if isinstance(source, Path):
            with pytest.raises(FiduciaError, match=r"no such|text file"):
                predictor.video(source)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.tif", "photo.bmp"])
def test_a_photograph_given_to_video_points_back(predictor: Predictor, tmp_path: Path, name: str) -> None:
    pytest.importorskip("av", reason="needs the video extra")
    write_image(tmp_path / name, PIXELS) if name[-3:] in ("png", "jpg") else Image.fromarray(PIXELS).save(
        tmp_path / name
    )
    path = shutil.move(tmp_path / name, tmp_path / "photo.mp4") if name == "photo.bmp" else tmp_path / name
    with pytest.raises(FiduciaError) as told:
        predictor.video(path)
    assert one_line(told) == (
        f"{path}: is an image, not a video; for its faces call the predictor without .video, as predictor('{path}')"
    )


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp"])
def test_of_an_animation_the_first_frame_is_read_with_a_remark(predictor: Predictor, tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.full((48, 64, 3), level, np.uint8)) for level in (10, 120, 250)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    faces = predictor(tmp_path / name)
    assert faces.photo is not None
    assert faces.photo.remarks == ("holds 3 frames; the first is read",)
    assert abs(float(faces.photo.read().mean()) - 10) < 3
    pytest.importorskip("av", reason="needs the video extra")
    with pytest.raises(
        FiduciaError, match=r"is an image.*for all frames of an animation give \.video their RGB arrays"
    ):
        predictor.video(tmp_path / name)
    assert len(list(predictor.video([np.array(frame) for frame in frames]))) == 3
