"""Fit the mean 3-D face of ``fiducia.measures`` to the training faces of 300-W, and write its table.

    python benchmarks/head_shape.py --data 300w:ROOT [--write]

The fit starts from the drawn head of ``fiducia.data.synthetic`` (an average person, frontal) and alternates between the
pose of every face and the shape of all: weak perspective, least squares, robust weights, symmetric left and right (structure
from motion for one rigid shape; Tomasi and Kanade 1992 with the pose step of Besl and McKay 1992). The labels are two-
dimensional; depth comes from the heads that are turned. The contour is left out, since it slides over a head that turns.
The zero of pitch is that of the drawn head.

Faces: AFW without the photographs of ``multi_face``, and the training parts of HELEN and LFPW without three that are in the
test set, 1,968 where all are there. No labelled angle is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fiducia.data.source import load_records
from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head
from fiducia.schemes.sets import get_scheme

Array = npt.NDArray[np.float64]
PARTS = ("afw", "helen/trainset", "lfpw/trainset")
LEFT_OUT = (
    "237815567",
    "2417212918",
    "3729198156",
    "4285163979",
    "4538917191",
    "image_0215",
    "image_0828",
    "image_0862",
)
TABLE = Path(__file__).resolve().parents[1] / "src/fiducia/measures/head_table.py"
INNER = get_scheme("ibug51")


def drawn() -> Array:
    """Return the drawn head ``(51, 3)``: x right, y down, z away from the viewer."""
    return build_head(FaceShape()).points[list(SELECTIONS["ibug51"])] * [1, 1, -1]


def unit(xy: Array) -> Array:
    """Centre shapes ``(..., K, D)`` and scale them to a root mean square distance of 1."""
    centred = xy - xy.mean(axis=-2, keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=-1).mean(axis=-1))[..., None, None]


def poses(shape: Array, faces: Array, rounds: int = 12) -> Array:
    """Return the first two rows of each face's scaled rotation, ``(N, 2, 3)``: depth is guessed, then all three axes fit."""
    rotation = np.tile(np.eye(3), (len(faces), 1, 1))
    scale = np.ones(len(faces))
    start = np.linalg.lstsq(shape, np.hstack(faces), rcond=None)[0].T.reshape(-1, 2, 3)
    u, s, v = np.linalg.svd(start, full_matrices=False)
    rows = u @ v
    rotation[:, :2], rotation[:, 2] = rows, np.cross(rows[:, 0], rows[:, 1])
    scale = s.mean(axis=1)
    for _ in range(rounds):
        depth = scale[:, None] * (rotation[:, 2] @ shape.T)
        full = np.concatenate([faces, depth[..., None]], axis=2)
        u, s, v = np.linalg.svd(full.transpose(0, 2, 1) @ shape)
        s[:, 2] *= np.sign(np.linalg.det(u @ v))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ v))[:, None]
        rotation, scale = u @ v, s.sum(axis=1) / (shape**2).sum()
    return scale[:, None, None] * rotation[:, :2]


def fit(faces: Array, rounds: int) -> Array:
    """Return the rigid shape ``(51, 3)`` that explains the faces ``(N, 51, 2)`` best, in the frame of the drawn head."""
    mirror = list(INNER.mirror)
    shape = start = unit(drawn())
    for _ in range(rounds):
        rows = poses(shape, faces)
        residual = faces - shape @ rows.transpose(0, 2, 1)
        weight = 1 / (1 + (residual**2).sum(axis=2).mean(axis=1) / 0.1**2)
        square = np.einsum("n,nij,nik->jk", weight, rows, rows)
        target = np.einsum("n,nij,nki->kj", weight, rows, faces)
        shape = np.linalg.solve(square, target.T).T
        shape = unit((shape + shape[mirror] * [-1, 1, 1]) / 2)
    # Turned about the axis through the ears, so that its pitch is the drawn head's.
    a, b = shape[:, 1:], start[:, 1:]
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
    c, s = np.cos(angle), np.sin(angle)
    return np.column_stack([shape[:, 0], shape[:, 1:] @ [[c, s], [-s, c]]])


def main() -> None:
    """Fit, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="300w:ROOT")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="replace head_table.py")
    args = parser.parse_args()
    records = [
        r for part in PARTS for r in load_records(args.data, part) if not any(n in str(r.tags["id"]) for n in LEFT_OUT)
    ]
    faces = unit(np.stack([record.xy[17:] for record in records]))
    shape = fit(faces, args.rounds)
    error = np.sqrt(((faces - shape @ poses(shape, faces).transpose(0, 2, 1)) ** 2).sum(axis=2).mean(axis=1))
    right, left = (shape[INNER.point(f"{side}_eye_outer")] for side in ("right", "left"))
    shape = (shape - (right + left) / 2) / np.linalg.norm(left - right)
    print(f"{len(faces)} faces, {args.rounds} rounds, median residual {np.median(error):.4f} of the shape's radius")
    lines = [
        f'    "{name}": ({x:.4f}, {y:.4f}, {z:.4f}),'
        for name, (x, y, z) in zip(INNER.names, shape.round(4) + 0.0, strict=True)
    ]
    text = TABLE.read_text(encoding="utf-8") if TABLE.exists() else "HEAD = {\n}\n"
    head, tail = text.partition("= {\n")[0] + "= {\n", "\n}" + text.partition("\n}")[2]
    if args.write:
        TABLE.write_text(head + "\n".join(lines) + tail, encoding="utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
