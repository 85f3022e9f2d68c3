"""Every data set on disk in its own layout, with faces that are drawn, so that each can be trained and measured on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_files import wflw_line, write_aflw, write_cofw, write_wflw
from scipy.io import savemat

from fiducia.data.formats.pts import write_pts
from fiducia.data.shards.pack import pack
from fiducia.data.source import label_writers, load_records
from fiducia.data.synthetic.source import synthetic_face
from fiducia.images import write_image

COUNT = 3
"""Faces of each set."""


def draw(seed: int, scheme: str, path: Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, points and visibility of a drawn face, the picture in a file as well."""
    picture, xy, visible = synthetic_face(seed, size=128, scheme=scheme)
    if path is not None:
        write_image(path, picture)
    return picture, xy, visible


def pts_beside(root: Path, place: str, suffix: str = ".jpg") -> None:
    for seed in range(COUNT):
        _, xy, _ = draw(seed, "ibug68", root / f"{place.format(seed)}{suffix}")
        write_pts(root / f"{place.format(seed)}.pts", xy)


def w300(root: Path) -> tuple[str, str]:
    pts_beside(root, "lfpw/testset/image_{:04d}", ".png")
    return f"300w:{root}", "lfpw/testset"


def w300_private(root: Path) -> tuple[str, str]:
    pts_beside(root, "01_Indoor/indoor_{:03d}", ".png")
    return f"300w-private:{root}", "indoor"


def wflw(root: Path) -> tuple[str, str]:
    lines = []
    for seed in range(COUNT):
        _, xy, _ = draw(seed, "wflw98", root / "WFLW_images" / f"{seed}.jpg")
        lines.append(wflw_line(f"{seed}.jpg", xy, (10, 10, 118, 118), f"{seed % 2} 0 0 1 0 0"))
    write_wflw(root, "test", lines)
    return f"wflw:{root}", "test"


def cofw(root: Path) -> tuple[str, str]:
    faces = [draw(seed, "cofw29") for seed in range(COUNT)]
    phis = np.array([np.concatenate([xy[:, 0], xy[:, 1], v == 1]) for _, xy, v in faces])
    write_cofw(root / "COFW_test_color.mat", "test", [p for p, _, _ in faces], phis, np.tile([9.0, 9, 99, 99], (3, 1)))
    return f"cofw:{root}", "test"


def cofw68(root: Path) -> tuple[str, str]:
    cofw(root)
    folder = root / "COFW68_Data" / "test_annotations"
    folder.mkdir(parents=True)
    for seed in range(COUNT):
        _, xy, v = draw(seed, "ibug68")
        savemat(folder / f"{seed + 1}_points.mat", {"Points": xy, "Occ": (v == 1).astype(np.uint8)[None]})
    savemat(root / "COFW68_Data" / "cofw68_test_bboxes.mat", {"bboxes": np.tile([9.0, 9, 99, 99], (COUNT, 1))})
    return f"cofw68:{root}", "test"


def aflw(root: Path) -> tuple[str, str]:
    rows: list[dict[str, Any]] = []
    for seed in range(COUNT):
        _, xy, v = draw(seed, "aflw19", root / "data" / "flickr" / "0" / f"{seed}.jpg")
        rows.append({"name": f"0/{seed}.jpg", "xy": xy, "box": (10, 118, 10, 118), "mask": v == 2})
    write_aflw(root / "AFLWinfo_release.mat", rows)
    return f"aflw:{root}", "full"


def merl(root: Path) -> tuple[str, str]:
    pts_beside(root, "frontal/testset/image{:05d}")
    return f"merl:{root}", "test"


def aflw2000(root: Path) -> tuple[str, str]:
    for seed in range(COUNT):
        _, xy, _ = draw(seed, "ibug68", root / f"image{seed:05d}.jpg")
        points = np.concatenate([xy.T + 1, np.zeros((1, 68))])
        savemat(root / f"image{seed:05d}.mat", {"pt3d_68": points, "Pose_Para": np.zeros((1, 7))})
    return f"aflw2000:{root}", "test"


def lapa(root: Path) -> tuple[str, str]:
    for seed in range(COUNT):
        _, xy, _ = draw(seed, "lapa106", root / "test" / "images" / f"{seed}_0.jpg")
        path = root / "test" / "landmarks" / f"{seed}_0.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("106\n" + "".join(f"{x!r} {y!r}\n" for x, y in xy.tolist()))
    return f"lapa:{root}", "test"


def hrnet(root: Path) -> tuple[str, str]:
    names = ["image_name", "scale", "center_w", "center_h", *(f"original_{i}_{a}" for i in range(98) for a in "xy")]
    rows = [",".join(names)]
    for seed in range(COUNT):
        _, xy, _ = draw(seed, "wflw98", root / "images" / f"{seed}.jpg")
        rows.append(",".join([f"{seed}.jpg", "0.5", "64", "64", *map(repr, xy.ravel().tolist())]))
    (root / "faces.csv").write_text("\n".join(rows) + "\n")
    return f"hrnet:{root / 'faces.csv'}", "all"


def written(form: str) -> Callable[[Path], tuple[str, str]]:
    """Return what writes drawn faces of 68 points in one of people's own formats."""

    def write(root: Path) -> tuple[str, str]:
        records = load_records(f"synthetic:{COUNT}@{root / 'drawn'}", "train")
        path = root / "faces"
        label_writers[form](path, records)
        return f"{form}:{path}", "all"

    return write


def shards(root: Path) -> tuple[str, str]:
    records = load_records(f"synthetic:{COUNT}@{root / 'drawn'}", "train")
    pack(records, root / "shards", source="synthetic", split="train", shard_bytes=1)
    return f"shards:{root / 'shards'}", "all"


def results(root: Path) -> tuple[str, str]:
    for seed in range(COUNT):
        picture, xy, _ = draw(seed, "ibug68", root / f"{seed}.png")
        face = {"points": xy.tolist(), "box": [10, 10, 118, 118], "scheme": "ibug68", "id": 0}
        table = {"image": f"{seed}.png", "width": picture.shape[1], "height": picture.shape[0], "faces": [face]}
        (root / f"{seed}.json").write_text(json.dumps(table))
    return f"json:{root}", "all"


def result_lines(root: Path) -> tuple[str, str]:
    results(root)
    lines = [(root / f"{seed}.json").read_text() for seed in range(COUNT)]
    (root / "faces.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return f"jsonl:{root / 'faces.jsonl'}", "all"


def synthetic(root: Path) -> tuple[str, str]:
    return f"synthetic:{COUNT}@{root}", "train"


MAKERS: dict[str, tuple[Callable[[Path], tuple[str, str]], str]] = {
    "300w": (w300, "ibug68"),
    "300w-private": (w300_private, "ibug68"),
    "wflw": (wflw, "wflw98"),
    "cofw": (cofw, "cofw29"),
    "cofw68": (cofw68, "ibug68"),
    "aflw": (aflw, "aflw19"),
    "merl": (merl, "ibug68"),
    "aflw2000": (aflw2000, "ibug68"),
    "lapa": (lapa, "lapa106"),
    "hrnet": (hrnet, "wflw98"),
    "coco": (written("coco"), "ibug68"),
    "csv": (written("csv"), "ibug68"),
    "cvat": (written("cvat"), "ibug68"),
    "pts": (written("pts"), "ibug68"),
    "labelstudio": (written("labelstudio"), "ibug68"),
    "json": (results, "ibug68"),
    "jsonl": (result_lines, "ibug68"),
    "shards": (shards, "ibug68"),
    "synthetic": (synthetic, "ibug68"),
}
"""Data set → what makes it below a folder and returns source and split, and its landmark set."""
