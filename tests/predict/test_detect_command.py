"""The real command line on good and bad input: exit statuses, one line a failure, nothing half-written."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fiducia.cli import main

ASTRONAUT = Path(__file__).parents[2] / "assets" / "astronaut.jpg"


class Ran:
    def __init__(self, status: int, out: str, err: str, folder: Path) -> None:
        self.status, self.out, self.err = status, out, err
        self.files = sorted(p.name for p in folder.rglob("*")) if folder.exists() else None
        self.folder = folder


@pytest.fixture
def detect(tmp_path: Path, make_weights: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: object, weights: object = None, detector: str = "whole", formats: str = "json") -> Ran:
        words = ["detect", *map(str, arguments), "--weights", str(weights or make_weights()), "--detector", detector]
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*words, "--out", str(tmp_path / "out"), "--format", formats, "--device", "cpu"])
        out, err = capfd.readouterr()
        code = caught.value.code
        return Ran(0 if code is None else int(code), out, err, tmp_path / "out")

    return run


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_demonstration(detect: Callable[..., Ran], tmp_path: Path) -> None:
    ran = detect(ASTRONAUT, detector="auto", formats="png,json")
    assert ran.status == 0
    assert ran.out == f"{ASTRONAUT}: 1 face -> {tmp_path / 'out' / 'astronaut.png'}\n"
    assert ran.err == ""
    assert ran.files == ["astronaut.json", "astronaut.png"]
    table = json.loads((ran.folder / "astronaut.json").read_text())
    assert (table["width"], table["height"], len(table["faces"])) == (512, 512, 1)


def test_no_face_is_said_and_is_no_failure(detect: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    Image.new("RGB", (300, 200), (90, 90, 90)).save(path)
    ran = detect(path, detector="auto")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"{path}: no face found -> {tmp_path / 'out' / 'wall.json'}\n"
    assert json.loads((ran.folder / "wall.json").read_text())["faces"] == []


GOOD: dict[str, Callable[[Path], object]] = {
    "16-bit.png": lambda p: cv2.imwrite(str(p), np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27),
    "16-bit-rgb.png": lambda p: cv2.imwrite(str(p), np.full((40, 60, 3), 40000, np.uint16)),
    "grey.jpg": lambda p: Image.new("L", (60, 40), 128).save(p),
    "rgba.png": lambda p: Image.new("RGBA", (60, 40), (9, 8, 7, 6)).save(p),
    "cmyk.jpg": lambda p: Image.new("CMYK", (60, 40), (9, 80, 70, 6)).save(p),
    "palette.gif": lambda p: Image.new("P", (60, 40), 3).save(p),
    "one.png": lambda p: Image.new("RGB", (1, 1), (1, 2, 3)).save(p),
    "long.png": lambda p: Image.new("RGB", (20000, 8), (1, 2, 3)).save(p),
    "tall.jpg": lambda p: Image.new("RGB", (5, 20000), (1, 2, 3)).save(p),
}


@pytest.mark.parametrize("detector", ["whole", "auto", "dlib"])
def test_odd_images_are_read(detect: Callable[..., Ran], tmp_path: Path, detector: str) -> None:
    paths = [tmp_path / name for name in GOOD]
    for path in paths:
        GOOD[path.name](path)
    ran = detect(*paths, detector=detector)
    white = tmp_path / "rgba.png"
    assert (ran.status, ran.err) == (0, f"fiducia: {white}: has transparent pixels; they are laid over white\n")
    assert ran.files == sorted(f"{p.stem}.json" for p in paths)
    for path in paths:
        table = json.loads((ran.folder / f"{path.stem}.json").read_text())
        with Image.open(path) as image:
            assert (table["width"], table["height"]) == image.size
        assert len(table["faces"]) == (1 if detector == "whole" else 0)


BAD: dict[str, bytes | None] = {
    "missing.jpg": None,
    "empty.jpg": b"",
    "cut.jpg": ASTRONAUT.read_bytes()[:60000],
    "header.jpg": ASTRONAUT.read_bytes()[:300],
    "words.png": b"this is no picture",
    "bomb.png": png_that_claims(60000, 60000),
    "lies.png": png_that_claims(500, 500),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_one_line_and_the_others_are_done(detect: Callable[..., Ran], tmp_path: Path, name: str) -> None:
    bad, content = tmp_path / name, BAD[name]
    if content is not None:
        bad.write_bytes(content)
    ran = detect(bad, ASTRONAUT, formats="json,png,pts,csv,coco")
    assert ran.status == 1
    first, last = ran.err.splitlines()
    assert first.startswith("fiducia: ")
    assert str(bad) in first
    assert last == "fiducia: 1 of 2 inputs failed"
    assert ran.out.splitlines() == [f"{ASTRONAUT}: 1 face -> {ran.folder / 'astronaut.png'}"]
    assert ran.files == ["astronaut.json", "astronaut.png", "astronaut.pts", "coco.json", "faces.csv", "pts.json"]


def test_all_failing_writes_no_table_of_nothing_wrong(detect: Callable[..., Ran], tmp_path: Path) -> None:
    ran = detect(tmp_path / "missing.jpg")
    assert (ran.status, ran.out, ran.files) == (1, "", [])


def test_boxes_from_a_file(detect: Callable[..., Ran], tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"astronaut.jpg": [[180, 70, 270, 180], [10, 10, 60, 60]]}))
    ran = detect(ASTRONAUT, detector=str(boxes))
    assert (ran.status, ran.err) == (0, "")
    faces = json.loads((ran.folder / "astronaut.json").read_text())["faces"]
    assert [f["box"] for f in faces] == [[180, 70, 270, 180], [10, 10, 60, 60]]
    # What was written serves as boxes again.
    again = detect(ASTRONAUT, detector=str(ran.folder / "astronaut.json"))
    assert [f["box"] for f in json.loads((again.folder / "astronaut.json").read_text())["faces"]] == [
        f["box"] for f in faces
    ]


@pytest.mark.parametrize(("text", "status"), [("[[NaN, 0, 5, 5]]", 1), ("[[9, 0, 5, 5]]", 1), ("7", 2)])
def test_bad_boxes_in_a_file(detect: Callable[..., Ran], tmp_path: Path, text: str, status: int) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'{{"astronaut.jpg": {text}}}')
    ran = detect(ASTRONAUT, detector=str(boxes))
    assert ran.status == status
    assert "boxes.json" in ran.err.splitlines()[0]
    assert not ran.files


def test_a_bad_box_of_one_photograph_leaves_the_others(detect: Callable[..., Ran], tmp_path: Path) -> None:
    other = tmp_path / "other.jpg"
    other.write_bytes(ASTRONAUT.read_bytes())
    boxes = tmp_path / "boxes.json"
    boxes.write_text('{"astronaut.jpg": [[180, 70, NaN, 180]], "other.jpg": [[180, 70, 270, 180]]}')
    ran = detect(ASTRONAUT, other, detector=str(boxes))
    assert (ran.status, ran.files) == (1, ["other.json"])
    assert "box 0 is not finite" in ran.err


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ([], {"detector": "dlip"}, "did you mean 'dlib'"),
        ([], {"detector": "yunet:none.onnx"}, "none.onnx: no such file"),
        ([], {"detector": "none.json"}, "none.json"),
        ([], {"formats": "jsno"}, "did you mean 'json'"),
        ([], {"formats": ","}, "--format is empty"),
        ([], {"weights": "no_such_weights"}, "no_such_weights"),
        (["--runtime", "openvimo"], {}, "no runtime is called 'openvimo'; did you mean 'openvino'"),
        (["--min-face", "-3"], {}, "min_face"),
        (["--min-face", "inf"], {}, "min_face"),
        (["--seconds", "inf"], {}, "seconds = inf; expected a number of 0 or more"),
        (["--no-such-option"], {}, "No such option"),
    ],
)
def test_wrong_use_exits_with_2_and_touches_nothing(
    detect: Callable[..., Ran], arguments: list[str], options: dict[str, str], says: str
) -> None:
    ran = detect(ASTRONAUT, *arguments, **options)
    assert ran.status == 2
    assert says in ran.err
    assert (ran.out, ran.files) == ("", None)


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_weights_that_are_pickles_or_damaged(
    detect: Callable[..., Ran], tmp_path: Path, make_weights: Callable[..., Path]
) -> None:
    trap = tmp_path / "sprung"
    cases = {
        "pickle.safetensors": pickle.dumps(Trap(trap)),
        "cut.safetensors": make_weights().read_bytes()[:5000],
        "empty.safetensors": b"",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"x": Trap(trap)}, tmp_path / "torch.safetensors")
    for name in [*cases, "torch.safetensors"]:
        ran = detect(ASTRONAUT, weights=tmp_path / name)
        assert (ran.status, ran.out, ran.files) == (1, "", None), name
        assert ran.err.count("\n") == 1
        assert str(tmp_path / name) in ran.err
    assert not trap.exists()


def test_weights_with_the_wrong_scheme(detect: Callable[..., Ran], make_weights: Callable[..., Path]) -> None:
    ran = detect(ASTRONAUT, weights=make_weights("wrong", scheme="ibug68"))
    assert (ran.status, ran.files) == (1, None)
    assert "5 points" in ran.err
    assert "ibug68, which has 68" in ran.err


def test_in_a_process_of_its_own(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    command = [sys.executable, "-m", "fiducia", "detect", "missing.jpg", str(ASTRONAUT), "--out", str(tmp_path / "o")]
    command += ["--weights", str(make_weights()), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{ASTRONAUT}: 1 face -> ")
    assert done.stderr.splitlines()[0].startswith("fiducia: missing.jpg: no such file")
    assert len(done.stderr.splitlines()) == 2
