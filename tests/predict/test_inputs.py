"""Folders from the wild: what is a photograph is found, what is none is told in a line, nothing waits."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fiducia.errors import FiduciaError
from fiducia.faces.photo import PhotoRef
from fiducia.images import write_image
from fiducia.predict.inputs import expand, open_photo

PIXELS = np.full((4, 5, 3), 100, np.uint8)


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, PIXELS)
    return path


def test_photographs_at_any_depth_in_order_and_each_once(tmp_path: Path) -> None:
    paths = [picture(tmp_path / "d" / name) for name in ("a.png", "b/c.png", "b/d.tiff", "z.bmp")]
    picture(tmp_path / "d" / ".hidden.png")
    picture(tmp_path / "d" / ".cache" / "x.png")
    picture(tmp_path / "d" / "out" / "drawn.png")
    (tmp_path / "d" / "notes.txt").write_text("x")
    found, complaints = expand([tmp_path / "d", paths[0], str(paths[0])], tmp_path / "d" / "out")
    assert found == [str(p) for p in paths]
    assert complaints == []
    # Asked for itself, the folder of results is searched.
    assert expand([tmp_path / "d" / "out"], tmp_path / "d" / "out")[0] == [str(tmp_path / "d" / "out" / "drawn.png")]


def test_linked_folders_are_searched_once_and_loops_end(tmp_path: Path) -> None:
    kept = picture(tmp_path / "elsewhere" / "far.png")
    top = tmp_path / "top"
    near = picture(top / "near.png")
    (top / "a link").symlink_to(kept.parent)
    (top / "another link").symlink_to(kept.parent)
    (top / "loop").symlink_to(top)
    found, complaints = expand([top], tmp_path / "out")
    assert found == [str(top / "a link" / "far.png"), str(near)]
    assert complaints == []


def test_pipes_devices_broken_links_and_sockets_in_a_folder_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = picture(tmp_path / "good.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "lost.jpg").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.jpg")
        found, complaints = expand([tmp_path], tmp_path / "out")
    assert found == [str(good)]
    told = {Path(name).name: text for name, text in complaints}
    assert "is a pipe, no photograph" in told["pipe.jpg"]
    assert "is a device" in told["zero.jpg"]
    assert "is a socket" in told["s.jpg"]
    assert "symbolic links" in told["loop.jpg"]
    assert "No such file" in told["lost.jpg"]
    assert all(text.startswith(name) and "\n" not in text for name, text in complaints)


def test_a_folder_that_may_not_be_searched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = picture(tmp_path / "good.png")
    picture(tmp_path / "secret" / "x.png")
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, complaints = expand([tmp_path], tmp_path / "out")
    assert found == [str(good)]
    assert complaints == [
        (
            str(tmp_path / "secret"),
            f"{tmp_path / 'secret'}: cannot be searched (Permission denied); check its permissions",
        )
    ]


def test_names_that_no_file_system_takes_are_told_when_they_are_read(tmp_path: Path) -> None:
    odd = [str(tmp_path / ("x" * 300 + ".jpg")), "a\0b.jpg", str(tmp_path / "none.jpg")]
    (tmp_path / "loop").symlink_to("loop")
    odd.append(str(tmp_path / "loop"))
    found, complaints = expand(odd, tmp_path / "out")
    assert found == odd
    assert complaints == []
    for name in odd:
        with pytest.raises(FiduciaError):
            open_photo(name)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert expand([tmp_path], tmp_path / "out") == (
        [],
        [
            (
                str(tmp_path),
                f"{tmp_path}: a folder without photographs or videos; expected files such as .jpg, .png or .mp4 in it",
            )
        ],
    )


def test_a_name_of_no_encoding_is_found(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    picture(tmp_path / "good.png").rename(name)
    found, _ = expand([tmp_path], tmp_path / "out")
    assert found == [name]
    assert open_photo(found[0]).image.shape == (4, 5, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "1", "L", "I;16", "CMYK", "YCbCr"])
def test_arrays_and_pil_images_are_laid_over_white_like_files(mode: str) -> None:
    rgba = np.full((2, 3, 4), 100, np.uint8)
    rgba[..., 3] = 255
    rgba[0, :, 3] = 0
    base = Image.fromarray(rgba)
    given = Image.fromarray(np.full((2, 3), 100 * 257, np.uint16)) if mode == "I;16" else base.convert(mode)
    photo = open_photo(given)
    image = photo.image
    assert image.shape == (2, 3, 3)
    assert len(photo.remarks) == (mode in ("RGBA", "LA", "PA"))
    if mode in ("RGBA", "LA", "PA"):
        np.testing.assert_array_equal(image[0], 255)
        np.testing.assert_allclose(image[1], 100, atol=3 if mode == "PA" else 0)
    elif mode in ("L", "I;16"):
        np.testing.assert_array_equal(image, 100)
    np.testing.assert_array_equal(open_photo(rgba).image[:, 0, 0], [255, 100])


def test_a_photograph_that_needs_a_package_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from fiducia.errors import UsageError

    def missing(*_: object, **__: object) -> None:
        raise UsageError("x.heic: needs pillow-heif")

    monkeypatch.setattr("fiducia.predict.inputs.read_photo", missing)
    with pytest.raises(FiduciaError, match="needs pillow-heif") as caught:
        open_photo("x.heic")
    assert not isinstance(caught.value, UsageError)


@pytest.mark.parametrize("name", ["turned.png", "pages.tif"])
def test_a_crop_is_cut_from_the_pil_image_and_not_from_its_file(tmp_path: Path, name: str) -> None:
    """The file would be turned by its EXIF orientation, and another page of it would be read."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    exif = Image.Exif()
    if name == "turned.png":
        exif[0x0112] = 3
    other = [Image.fromarray(np.zeros_like(pixels))] if name == "pages.tif" else []
    [*first, last] = [*other, Image.fromarray(pixels)]
    start, *more = [*first, last]
    start.save(tmp_path / name, exif=exif, **({"save_all": True, "append_images": more} if more else {}))
    with Image.open(tmp_path / name) as picture:
        picture.seek(len(more))
        ref = PhotoRef.of(open_photo(picture))
        np.testing.assert_array_equal(ref.read(), pixels)
        if more:
            picture.seek(0)
            with pytest.raises(FiduciaError, match="not in memory any more"):
                ref.read()


def test_an_array_is_not_looked_for_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "a.png").rename("array")  # what an array is called in results
    grey = np.full((8, 8), 200, np.uint8)
    ref = PhotoRef.of(open_photo(grey))
    assert (ref.read() == 200).all()  # made anew from the grey array, which is still in use
    sent = pickle.loads(pickle.dumps(ref))
    del grey
    for one in (ref, sent):
        with pytest.raises(FiduciaError, match="not in memory any more"):
            one.read()
