"""Damaged label files: whole ones of every format, each with a few random faults, read and checked in every way.

``python benchmarks/fuzz.py SEED N labels``. Any error that is no :class:`fiducia.FiduciaError` of one line is a fault.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import random
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mutate import fault_in_text, fault_in_values

__all__ = ["KIND", "SOURCES", "cases", "mutate_label", "place", "read_case"]

FIVE = ("right_eye_centre", "left_eye_centre", "nose_tip", "right_mouth_corner", "left_mouth_corner")
PLACES = ((20.0, 20.0), (40.0, 20.0), (30.0, 30.0), (22.0, 38.0), (38.0, 38.0))
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1e308,
    -1e308,
    1e-320,
    10**30,
    0.5,
    7,
    True,
    None,
    "",
    "NaN",
    "1e999",
    [],
    {},
    [[]],
    "x" * 5000,
)
WORDS = (
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "1e-999",
    "9" * 400,
    "1,5",
    "0x10",
    "1_000",
    "٣",
    "",
    " ",
    "null",
    "\ufeff",
    "\x00",
    "\u2028",
    "\ud7ff",
)
BYTES = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b",",
    b";",
    b"\t",
    b"{",
    b"]",
    b"<",
    b"&",
    b"\\",
    b"\xf0\x9f\x98\x80",
)


def _coco(rng: random.Random) -> bytes:
    faces = []
    for i in range(rng.randint(1, 4)):
        shift = rng.uniform(-5, 5)
        flat = [v for x, y in PLACES for v in (x + shift, y, rng.choice((0, 1, 2, 2)))]
        box = [15.0 + shift, 15.0, 30.0, 30.0]
        face = {
            "id": i,
            "image_id": 1,
            "category_id": 1,
            "keypoints": flat,
            "num_keypoints": 5,
            "bbox": box,
            "area": 900.0,
        }
        faces.append({**face, "iscrowd": 0, "tags": {"id": f"f{i}", "photo": "a"}})
    category = {"id": 1, "name": "face", "keypoints": list(FIVE), "skeleton": [[1, 2]], "scheme": "five"}
    images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 50}]
    return json.dumps(
        _faulty({"images": images, "annotations": faces, "categories": [category], "info": {}}, rng)
    ).encode()


def _result(rng: random.Random) -> bytes:
    face = {"box": [15, 15, 45, 45], "score": 0.9, "points": [list(p) for p in PLACES], "confidence": [1.0] * 5}
    faces = [{**face, "scheme": "five", "id": i} for i in range(rng.randint(0, 3))]
    table = {"image": "a.png", "width": 60, "height": 50, "faces": faces, "source": "auto", "weights": "w"}
    return json.dumps(_faulty(table, rng)).encode()


def _label_studio(rng: random.Random) -> bytes:
    tasks = []
    for _ in range(rng.randint(1, 2)):
        size = {"original_width": 60, "original_height": 50}
        box = {"x": 20.0, "y": 20.0, "width": 50.0, "height": 60.0, "rectanglelabels": ["face"]}
        regions: list[Any] = [
            {"id": "b", "type": "rectanglelabels", **size, "value": box, "meta": {"tags": {"id": "f"}}}
        ]
        for name, (x, y) in zip(FIVE, PLACES, strict=True):
            value = {"x": x / 0.6, "y": y / 0.5, "keypointlabels": [name]}
            regions.append({"type": "keypointlabels", "parentID": "b", **size, "value": value})
        key = rng.choice(("annotations", "annotations", "predictions"))
        tasks.append({"data": {"image": "a.png", "scheme": "five"}, key: [{"result": regions}]})
    return json.dumps(_faulty(tasks, rng)).encode()


def _sidecar(rng: random.Random) -> bytes:
    face = {"image": "a.png", "scheme": "five", "box": [1, 2, 30, 40], "visible": [2, 2, 1, 2, 2], "size": [60, 50]}
    return json.dumps(_faulty({"faces": {"a.pts": {**face, "tags": {"id": "a"}}}}, rng)).encode()


def _csv(rng: random.Random) -> bytes:
    named = rng.random() < 0.5
    points = [name for i, n in enumerate(FIVE) for name in ((f"{n}_x", f"{n}_y") if named else (f"x{i}", f"y{i}"))]
    header = [
        "image",
        "width",
        "height",
        "id",
        "scheme",
        "box_x1",
        "box_y1",
        "box_x2",
        "box_y2",
        *points,
        f"{FIVE[0]}_v" if named else "v0",
        "tags",
    ]
    rows = [header]
    for i in range(rng.randint(1, 4)):
        flat = [str(v) for p in PLACES for v in p]
        rows.append(["a.png", "60", "50", str(i), "five", "15", "15", "45", "45", *flat, "2", '"{""part"": ""p""}"'])
    for _ in range(rng.randint(0, 3)):
        row = rng.choice(rows)
        at = rng.randrange(len(row))
        row[at] = rng.choice((*WORDS, *(str(n) for n in NUMBERS)))
        if rng.random() < 0.2:
            del row[at]
    separator = rng.choice((",", ",", ",", ";", "\t"))
    return "\n".join(separator.join(row) for row in rows).encode("utf-8", "surrogatepass")


def _hrnet(rng: random.Random) -> bytes:
    header = ["image_name", "scale", "center_w", "center_h", *(f"original_{i}_{a}" for i in range(5) for a in "xy")]
    row = ["a.png", "0.2", "30", "30", *(str(v) for p in PLACES for v in p)]
    for _ in range(rng.randint(0, 2)):
        chosen = rng.choice((header, row))
        chosen[rng.randrange(len(chosen))] = rng.choice(WORDS)
    return f"{','.join(header)}\n{','.join(row)}\n".encode("utf-8", "surrogatepass")


def _cvat(rng: random.Random) -> bytes:
    points = [
        f'<points label="{n}" outside="0" occluded="0" points="{x},{y}"/>'
        for n, (x, y) in zip(FIVE, PLACES, strict=True)
    ]
    whole = ";".join(f"{x},{y}" for x, y in PLACES)
    shapes = [
        f'<skeleton label="face" source="auto" group_id="1">{"".join(points)}<attribute name="tags">{{}}</attribute></skeleton>',
        f'<points label="face" points="{whole}"/>',
        '<box label="face" group_id="1" xtl="15" ytl="15" xbr="45" ybr="45"/>',
    ]
    rng.shuffle(shapes)
    text = f'<annotations><image id="0" name="a.png" width="60" height="50">{"".join(shapes)}</image></annotations>'
    for _ in range(rng.randint(0, 2)):
        start = rng.choice([i for i, c in enumerate(text) if c == '"'])
        text = text[: start + 1] + rng.choice(WORDS) + text[start + 1 :]
    return text.encode("utf-8", "surrogatepass")


def _pts(rng: random.Random) -> bytes:
    lines = ["version: 1", "n_points: 5", "{", *(f"{x + 1} {y + 1}" for x, y in PLACES), "}"]
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(lines))
        lines[at] = rng.choice(
            (*WORDS, "1 2 3", "left right", "n_points: 4", "version: 9", f"{rng.choice(WORDS)} 2", "{", "}")
        )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _wflw(rng: random.Random) -> bytes:
    words = [f"{rng.uniform(1, 59):.3f}" for _ in range(196)] + ["10", "10", "50", "45", *"000000", "a.png"]
    for _ in range(rng.randint(0, 2)):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return (" ".join(words) + "\n").encode("utf-8", "surrogatepass")


def _lapa(rng: random.Random) -> bytes:
    lines = ["106", *(f"{rng.uniform(1, 59):.3f} {rng.uniform(1, 49):.3f}" for _ in range(106))]
    for _ in range(rng.randint(0, 2)):
        lines[rng.randrange(len(lines))] = rng.choice((*WORDS, "1 2 3", f"{rng.choice(WORDS)} 4"))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _scheme(rng: random.Random) -> bytes:
    lines = [
        f"names = {json.dumps(FIVE)}",
        "mirror = [[0, 1], [3, 4]]",
        "edges = [[0, 2], [1, 2]]",
        "inter_ocular = [0, 1]",
    ]
    values = (
        "4",
        "[]",
        '""',
        "[[0]]",
        "[[0, 9]]",
        "1e400",
        "true",
        "[[0, 1], 2]",
        "{a = [0]}",
        '"none"',
        str(10**12),
        "nan",
    )
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(lines))
        key = rng.choice(("points", "regions", "inter_pupil", "name", lines[at].partition(" ")[0]))
        lines[at] = f"{key} = {rng.choice(values)}"
    return "\n".join(lines).encode()


def _faulty(table: Any, rng: random.Random) -> Any:
    """Return a table with a few of its values replaced, removed, doubled or renamed."""
    for _ in range(rng.randint(0, 3)):
        if not table:
            return copy.deepcopy(rng.choice(NUMBERS))
        fault_in_values(table, rng, NUMBERS, WORDS)
    return table


MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    ".json": _coco,
    ".csv": _csv,
    ".xml": _cvat,
    ".pts": _pts,
    ".result.json": _result,
    ".studio.json": _label_studio,
    ".pts.json": _sidecar,
    ".hrnet.csv": _hrnet,
    ".wflw.txt": _wflw,
    ".lapa.txt": _lapa,
    ".scheme.toml": _scheme,
}
"""Suffix → what makes a file of that kind, whole or with faults in its values."""


def mutate_label(rng: random.Random, data: bytes) -> bytes:
    """Return a file with faults in its bytes: cut, doubled, overwritten, in another encoding, or none at all."""
    words = (*BYTES, *(word.encode("utf-8", "surrogatepass") for word in WORDS))
    for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2, 5))):
        data = fault_in_text(data, rng, words)
    return data


def cases(seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``n`` pairs of a suffix (a key of :data:`SOURCES`) and a file's bytes; the same for the same seed."""
    for i in range(n):
        yield draw(random.Random(f"labels {seed} {i}"))[1]


SOURCES: dict[str, tuple[str, str]] = {
    ".json": ("coco:{0}/f.json", "f.json"),
    ".csv": ("csv:{0}/f.csv", "f.csv"),
    ".xml": ("cvat:{0}/f.xml", "f.xml"),
    ".pts": ("pts:{0}/faces", "faces/a.pts"),
    ".result.json": ("json:{0}/results", "results/a.json"),
    ".studio.json": ("labelstudio:{0}/s.json", "s.json"),
    ".pts.json": ("pts:{0}/faces", "faces/pts.json"),
    ".hrnet.csv": ("hrnet:{0}/f.csv", "f.csv"),
    ".wflw.txt": (
        "wflw:{0}",
        "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt",
    ),
    ".lapa.txt": ("lapa:{0}", "test/landmarks/a.txt"),
    ".scheme.toml": ("csv:{0}/whole.csv", "own.toml"),
}
"""Suffix → the source that reads such a file in a folder, and where in the folder it lies."""


def place(folder: Path) -> None:
    """Put into an empty folder what the label files name: photographs, and whole files beside the damaged one."""
    import numpy as np

    from fiducia.images import write_image

    for name in ("a.png", "faces/a.png", "results/a.png", "WFLW_images/a.png", "test/images/a.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A lapa photograph ends in .jpg or .png; all are 60 x 50.
        write_image(path, np.full((50, 60, 3), 90, np.uint8))
    (folder / "test" / "landmarks").mkdir(parents=True, exist_ok=True)
    lists = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True, exist_ok=True)
    header = ",".join(f"x{i},y{i}" for i in range(5))
    (folder / "whole.csv").write_text(f"image,{header}\na.png,{','.join(str(v) for p in PLACES for v in p)}\n")
    (folder / "faces" / "a.pts").write_text("\n".join(f"{x} {y}" for x, y in PLACES))


def read_case(folder: Path, suffix: str, data: bytes) -> list[str]:
    """Write one file into a folder that :func:`place` has made, read it in every way, and return what went wrong."""
    from fiducia.data.check import check
    from fiducia.data.source import find_dataset, load_records
    from fiducia.data.usable import usable
    from fiducia.errors import FiduciaError

    source = SOURCES[suffix][0].format(folder)
    wrong = []
    own = _own(folder, suffix)
    fixed = suffix in (".wflw.txt", ".lapa.txt")
    with _lying(folder, suffix, data):
        for scheme in (own,) if suffix == ".scheme.toml" else (None,) if fixed else (None, own, "none"):
            for read in ("load", "check"):
                start = time.perf_counter()
                try:
                    if read == "load":
                        splits = find_dataset(source)[0].splits
                        usable(load_records(source, "test" if splits else "all", scheme))
                    else:
                        report = check(source, scheme)
                        json.dumps(report.to_json(), allow_nan=False)
                        long = [line for line in [*report.broken, *report.remarks] if "\n" in line or len(line) > 2000]
                        wrong += [f"check {scheme}: a line of {len(line)} characters: {line[:200]!r}" for line in long]
                except FiduciaError as error:
                    if "\n" in str(error) or len(str(error)) > 2000:
                        wrong.append(f"{read} {scheme}: an error of {len(str(error))} characters: {str(error)[:200]!r}")
                except Exception:
                    wrong.append(f"{read} {scheme}: {traceback.format_exc(limit=-3)}")
                if time.perf_counter() - start > 10:
                    wrong.append(f"{read} {scheme}: took {time.perf_counter() - start:.0f} s")
    return wrong


def _own(folder: Path, suffix: str) -> str:
    """Return the landmark set that a file is asked for with."""
    return str(folder / SOURCES[suffix][1]) if suffix == ".scheme.toml" else "five"


@contextlib.contextmanager
def _lying(folder: Path, suffix: str, data: bytes) -> Iterator[None]:
    """Put a file into its place in the folder, and what was there back at the end."""
    path = folder / SOURCES[suffix][1]
    before = path.read_bytes() if path.is_file() else None
    path.write_bytes(data)
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


@functools.cache
def _folder() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Return the folder of this process, and what removes it in the end."""
    temporary = tempfile.TemporaryDirectory()
    place(Path(temporary.name))
    return Path(temporary.name), temporary


def draw(rng: random.Random) -> tuple[str, tuple[str, bytes]]:
    """Return a kind of file, and a file of it."""
    suffix = rng.choice(list(MAKERS))
    if rng.random() < 0.02:
        whole = (b"", b"[" * 100_000 + b"]" * 100_000, b"<a>" * 20_000, b"\x89PNG\r\n\x1a\n", rng.randbytes(300))
        return suffix, (suffix, rng.choice(whole))
    return suffix, (suffix, mutate_label(rng, MAKERS[suffix](rng)))


def read(given: tuple[str, bytes]) -> int:
    """Read a file in every way, and return its number of faces.

    Raises:
        FiduciaError: it is refused, in one line.
        AssertionError: something went wrong in any of the ways.
    """
    from fiducia.data.source import find_dataset, load_records

    suffix, data = given
    folder = _folder()[0]
    wrong = read_case(folder, suffix, data)
    if wrong:
        raise AssertionError("; ".join(wrong))
    source = SOURCES[suffix][0].format(folder)
    fixed = bool(find_dataset(source)[0].splits)
    with _lying(folder, suffix, data):
        return len(load_records(source, "test" if fixed else "all", None if fixed else _own(folder, suffix)))


KIND = SimpleNamespace(draw=draw, read=read, judge=lambda given, found: "")
