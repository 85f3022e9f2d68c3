"""Labels that were made on a picture of another size or orientation land on the photograph that is there."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from fiducia.data.check import check
from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.sizes import PhotoSize, orient, photo_size, proportional, rescale
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.images import read_image
from fiducia.structures import Record

FACE = np.array([[20.0, 20], [40, 20], [30, 30], [22, 38], [38, 38]])
"""Five points of an upright face: the person's right eye at the picture's left."""
WRITERS: dict[str, Callable[..., None]] = {"csv": write_csv, "coco": write_coco, "cvat": write_cvat}


def photo(path: Path, size: tuple[int, int] = (60, 80), orientation: int = 1) -> Path:
    """Write a photograph of stored width and height, with an EXIF orientation and a red patch at (10..14, 4..8)."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[4:9, 10:15] = (255, 40, 40)
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    options = {"lossless": True} if path.suffix == ".webp" else {"quality": 95} if path.suffix == ".jpg" else {}
    picture.save(path, exif=exif if path.suffix == ".tiff" else exif.tobytes(), **options)
    return path


def face(image: Path, xy: np.ndarray = FACE) -> Record:
    return Record(
        image=image,
        xy=xy.copy(),
        visible=np.full(5, 2, np.int8),
        scheme="five",
        box=np.array([15.0, 15.0, 45.0, 45.0]),
        tags={"id": image.stem},
    )


def restate(form: str, path: Path, width: int, height: int) -> None:
    """Change the size that a label file states, and nothing else."""
    text = path.read_text()
    if form == "coco":
        table = json.loads(text)
        table["images"][0] |= {"width": width, "height": height}
        text = json.dumps(table)
    elif form == "csv":
        head, row = text.splitlines()
        cells = dict(zip(head.split(","), row.split(","), strict=True)) | {"width": str(width), "height": str(height)}
        text = head + "\n" + ",".join(cells.values()) + "\n"
    else:
        head, _, rest = text.partition('width="')
        text = f'{head}width="{width}" height="{height}"' + rest.partition('" height="')[2].partition('"')[2]
    path.write_text(text)


def stated(form: str, size: tuple[int, int], folder: Path) -> Path:
    """Write labels of one face of a photograph, and state another size of it."""
    path = folder / f"labels.{form}"
    WRITERS[form](path, [face(photo(folder / "a.png"))])
    restate(form, path, *size)
    return path


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("size", [(-60, 80), (0, 80), (-60, -80)])
def test_a_size_that_none_has_is_refused_and_none_at_all_is_not_given(
    form: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path = stated(form, size, tmp_path)
    with pytest.raises(FiduciaError, match=f"the size is stated as {size[0]} x {size[1]}; expected two positive"):
        load_records(f"{form}:{path}", "all")
    restate(form, path, 0, 0)
    np.testing.assert_array_equal(load_records(f"{form}:{path}", "all")[0].xy, FACE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_the_header_says_what_decoding_gives(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = photo(tmp_path / f"a{suffix}", (60, 40), orientation)
    size = photo_size(path)
    assert size is not None
    pixels = read_image(path).astype(int)
    assert size.shown == (pixels.shape[1], pixels.shape[0])
    assert size.stored == (60, 40)
    red = np.argwhere((pixels[..., 0] > 150) & (pixels[..., 1] < 120)).mean(axis=0)[::-1]
    np.testing.assert_allclose(orient(np.array([12.0, 6.0]), size.stored, size.orientation), red, atol=0.6)


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".ppm"])
def test_formats_without_exif(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / f"a{suffix}")
    assert photo_size(tmp_path / f"a{suffix}") == PhotoSize((60, 40))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def saved(kind: str, **options: Any) -> bytes:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    if kind == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
        pillow_heif.from_pillow(picture).save(buffer, **options)
    else:
        picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned_file(name: str) -> bytes:
    """Return a photograph of 60 x 40 stored pixels that every reader turns by a quarter, its orientation at an odd place."""
    exif = Image.Exif()
    exif[0x0112] = 6
    bare = exif.tobytes().removeprefix(b"Exif\0\0")
    if name == "png with eXIf behind the pixels":
        png = saved("PNG")
        return png[:-12] + chunk(b"eXIf", bare) + png[-12:]
    if name == "webp that does not announce its EXIF":
        parts = saved("WEBP", lossless=True)[12:] + b"EXIF" + struct.pack("<I", len(bare)) + bare
        parts += b"\0" * (len(bare) % 2)
        return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts
    if name == "jpeg with Exif behind the frame header":
        jpeg = saved("JPEG", quality=95)
        at = jpeg.index(b"\xff\xda")
        return jpeg[:at] + b"\xff\xe1" + struct.pack(">H", len(bare) + 8) + b"Exif\0\0" + bare + jpeg[at:]
    if name == "bigtiff":
        return saved("TIFF", big_tiff=True, tiffinfo={274: 6})
    if name == "avif":
        if not features.check("avif"):
            pytest.skip("needs Pillow with AVIF")
        return saved("AVIF", exif=exif)
    return saved("HEIF", exif=exif.tobytes())


@pytest.mark.parametrize(
    "name",
    [
        "png with eXIf behind the pixels",
        "webp that does not announce its EXIF",
        "jpeg with Exif behind the frame header",
        "bigtiff",
        "avif",
        "heic",
    ],
)
def test_the_header_says_what_decoding_gives_wherever_the_orientation_stands(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.photo"
    path.write_bytes(turned_file(name))
    assert read_image(path).shape[:2] == (60, 40)
    size = photo_size(path)
    assert size is not None
    assert size.shown == (40, 60)


def test_what_is_no_image_has_no_size(tmp_path: Path) -> None:
    assert photo_size(tmp_path / "none.jpg") is None
    assert photo_size(tmp_path) is None
    for content in (
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1\xff\xff",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"RIFF....WEBPVP8X",
        b"text",
    ):
        (tmp_path / "a.jpg").write_bytes(content)
        assert photo_size(tmp_path / "a.jpg") is None, content


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", (60, 40))
    assert photo_size(path) == PhotoSize((60, 40))
    photo(path, (50, 44))
    assert photo_size(path) == PhotoSize((50, 44))


@given(st.integers(60, 5000), st.integers(60, 5000), st.floats(0.1, 3.0), st.sampled_from([np.floor, np.ceil, np.rint]))
def test_every_resized_copy_is_proportional(width: int, height: int, scale: float, rounding: Callable) -> None:
    assert proportional((int(rounding(width * scale)), int(rounding(height * scale))), (width, height))


def test_other_shapes_are_not_proportional() -> None:
    assert not proportional((600, 400), (400, 600))
    assert not proportional((600, 400), (600, 410))
    assert not proportional((300, 300), (640, 480))


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_a_size_that_stands_in_for_one_is_refused_and_scales_nothing(
    form: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path = stated(form, size, tmp_path)
    says = f"a.png is stated as {size[0]} x {size[1]}, but the photograph has 60 x 80 pixels"
    with pytest.raises(FiduciaError, match=says):
        load_records(f"{form}:{path}", "all")


@given(st.floats(-0.5, 59.5), st.floats(-0.5, 79.5))
def test_borders_stay_borders(x: float, y: float) -> None:
    back = rescale(rescale(np.array([x, y]), (60, 80), (127, 333)), (127, 333), (60, 80))
    np.testing.assert_allclose(back, [x, y], atol=1e-9)
    np.testing.assert_allclose(rescale(np.array([59.5, 79.5]), (60, 80), (600, 800)), [599.5, 799.5])


@pytest.mark.parametrize("form", WRITERS)
def test_labels_of_a_resized_copy_are_scaled_points_and_box(form: str, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    WRITERS[form](path, [face(photo(tmp_path / "a.png", (120, 161)), FACE)])
    restate(form, path, 60, 80)
    records = load_records(f"{form}:{path}", "all")
    np.testing.assert_allclose(records[0].xy, (FACE + 0.5) * [2, 161 / 80] - 0.5)
    assert records[0].box is not None
    np.testing.assert_allclose(records[0].box, [30.5, 15.5 * 161 / 80 - 0.5, 90.5, 45.5 * 161 / 80 - 0.5])
    (line,) = records.remarks
    assert "1 face scaled: a.png is stated as 60 x 80, but the photograph has 120 x 161 pixels" in line
    assert next(row for row in check(f"{form}:{path}").kinds() if row["kind"] == "scaled")["count"] == 1


@pytest.mark.parametrize("form", WRITERS)
def test_labels_of_another_shape_are_refused_with_both_sizes(form: str, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    WRITERS[form](path, [face(photo(tmp_path / "a.png", (60, 80)))])
    restate(form, path, 80, 60)
    with pytest.raises(FiduciaError, match="stated as 80 x 60, but the photograph has 60 x 80 pixels"):
        load_records(f"{form}:{path}", "all")
    report = check(f"{form}:{path}")
    assert [row["kind"] for row in report.kinds() if row["broken"]] == ["size"]


@pytest.mark.parametrize("form", WRITERS)
def test_a_missing_size_is_compared_with_nothing(form: str, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    WRITERS[form](path, [face(photo(tmp_path / "a.png"))])
    restate(form, path, 0, 0)
    records = load_records(f"{form}:{path}", "all")
    np.testing.assert_array_equal(records[0].xy, FACE)
    assert not records.remarks


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("form", WRITERS)
def test_labels_on_stored_pixels_are_turned_with_the_photograph(form: str, orientation: int, tmp_path: Path) -> None:
    # The tool ignored EXIF: it showed the stored pixels, and the face lay on its side in them.
    image = photo(tmp_path / "a.jpg", (80, 60), orientation)
    backwards = {5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    lying = orient(FACE, (60, 80), backwards)
    np.testing.assert_allclose(orient(lying, (80, 60), orientation), FACE)
    path = tmp_path / "faces"
    WRITERS[form](path, [face(image, lying)])
    restate(form, path, 80, 60)
    records = load_records(f"{form}:{path}", "all")
    np.testing.assert_allclose(records[0].xy, FACE)
    (line,) = records.remarks
    assert (
        f"stated as 80 x 60, but the photograph has 60 x 80 pixels once EXIF orientation {orientation} is applied"
        in line
    )
    assert line.endswith("(turned)")


@pytest.mark.parametrize("form", WRITERS)
def test_a_size_in_the_wrong_order_leaves_upright_labels_where_they_are(form: str, tmp_path: Path) -> None:
    # The tool showed the photograph upright, but wrote down the size of the stored pixels.
    path = tmp_path / "faces"
    WRITERS[form](path, [face(photo(tmp_path / "a.jpg", (80, 60), 6))])
    restate(form, path, 80, 60)
    records = load_records(f"{form}:{path}", "all")
    np.testing.assert_allclose(records[0].xy, FACE)
    assert records.remarks[0].endswith("(swapped)")


def test_a_face_that_is_upright_in_neither_is_refused(tmp_path: Path) -> None:
    upside_down = np.array([60.0, 60.0]) - FACE
    path = tmp_path / "faces.json"
    write_coco(path, [face(photo(tmp_path / "a.jpg", (80, 60), 6), upside_down)])
    restate("coco", path, 80, 60)
    with pytest.raises(FiduciaError, match=r"80 x 60.*60 x 80.*the face is upright in neither"):
        load_records(f"coco:{path}", "all")


def test_points_without_sides_are_taken_as_stated(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    write_coco(path, [face(photo(tmp_path / "a.jpg", (80, 60), 6), orient(FACE, (60, 80), 8))])
    restate("coco", path, 80, 60)
    (record,) = load_records(f"coco:{path}", "all", "none")
    np.testing.assert_allclose(record.xy, FACE)
    assert record.scheme == "none:5"
