"""How far two annotations of one photograph differ: the same faces, found twice in a data set.

    python benchmarks/label_twins.py --data 300w:ROOT

Collections gathered from the web hold some photographs more than once, cut or scaled differently, and each copy was annotated
anew. Pairs are found by the correlation of small grey crops round the faces, then by an affine fit of their pixels; the labels of
one are carried over by that fit and compared with the other's. What remains is the noise that any network is measured against.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fiducia.data.images import crop, read_image
from fiducia.data.source import load_records
from fiducia.geometry import affine_apply, box_to_crop, tight_box
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.schemes import get_scheme
from fiducia.structures import Record

Array = npt.NDArray[np.float64]
_SMALL, _LARGE = 48, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument("--split", default="train")
    parser.add_argument(
        "--alike", type=float, default=0.93, help="correlation of 48-pixel crops from which a pair is fitted"
    )
    parser.add_argument(
        "--same", type=float, default=0.99, help="correlation after the fit from which it is one picture"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = [r for r in load_records(options.data, options.split) if np.isfinite(r.xy).all()]
    scheme = get_scheme(records[0].scheme)
    small = np.stack([_grey(record, _SMALL, 0.9)[0].ravel() for record in records])
    small = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
    near = np.argwhere(np.triu(small @ small.T / small.shape[1] > options.alike, 1))
    group = list(range(len(records)))
    apart: dict[int, list[float]] = {}
    pairs = []
    for i, j in near:
        if (warp := _fit(records[i], records[j], options.same)) is None:
            continue
        (_, to_i), (_, to_j) = (_grey(records[k], _LARGE, 0.7) for k in (i, j))
        theirs, ours = affine_apply(to_j, records[j].xy), affine_apply(warp, affine_apply(to_i, records[i].xy))
        length = normalizer("ic" if scheme.inter_ocular is not None else "box", theirs[None], scheme)
        pairs.append((int(i), int(j), 100 * float(nme(point_errors(ours[None], theirs[None]), length)[0])))
        _join(group, int(i), int(j))
    for i, _, value in pairs:
        apart.setdefault(_root(group, i), []).append(value)
    means = np.array([np.mean(values) for values in apart.values()])
    faces = sum(_root(group, i) in apart for i in range(len(records)))
    name = options.data.partition(":")[0]
    print(
        f"{faces} of {len(records)} faces of {name} {options.split} in {len(means)} groups of one picture, {len(pairs)} pairs"
    )
    summary = {"faces": faces, "groups": len(means), "pairs": len(pairs)}
    if len(means):
        summary |= {"mean": float(means.mean()), "median": float(np.median(means)), "worst": float(means.max())}
        print(
            f"two labels of one picture differ by {summary['mean']:.2f} % in the mean over groups, {summary['median']:.2f} "
            f"in the median, {summary['worst']:.2f} in the worst"
        )
    if options.json:
        named = [{"a": records[i].id, "b": records[j].id, "nme": value} for i, j, value in pairs]
        options.json.write_text(json.dumps({**summary, "found": named}, indent=2) + "\n")


def _grey(record: Record, size: int, scale: float) -> tuple[npt.NDArray[np.float32], Array]:
    """Return a face's grey crop ``(size, size)`` and the affine photograph → crop."""
    to_crop = box_to_crop(tight_box(record.xy), size, scale)
    return crop(read_image(record.image), to_crop, size).mean(-1).astype(np.float32), to_crop


def _fit(a: Record, b: Record, same: float) -> Array | None:
    """Return the affine from a's large crop to b's where they show one picture, else None."""
    (mine, _), (theirs, _) = _grey(a, _LARGE, 0.7), _grey(b, _LARGE, 0.7)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-6)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        likeness, warp = cv2.findTransformECC(mine, theirs, start, cv2.MOTION_AFFINE, criteria, None, 5)
    except cv2.error:  # it does not converge: two pictures
        return None
    return np.asarray(warp, np.float64) if likeness > same else None


def _root(group: list[int], i: int) -> int:
    while group[i] != i:
        i = group[i]
    return i


def _join(group: list[int], i: int, j: int) -> None:
    group[_root(group, j)] = _root(group, i)


if __name__ == "__main__":
    main()
