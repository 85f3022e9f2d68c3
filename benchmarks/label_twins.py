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
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fiducia.data.source import load_records
from fiducia.geometry import affine_apply, box_to_crop, tight_box
from fiducia.images import crop, read_image
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.schemes.sets import get_scheme
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
    small = np.stack([_grey(record, _SMALL, 0.9).ravel() for record in records])
    small = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
    near = np.argwhere(np.triu(small @ small.T / small.shape[1] > options.alike, 1))
    pairs = []
    for i, j in near:
        if (warp := _fit(records[i], records[j], options.same)) is None:
            continue
        theirs, ours = (affine_apply(_to_crop(records[k], _LARGE, 0.7), records[k].xy) for k in (j, i))
        ours = affine_apply(warp, ours)
        length = normalizer("ic" if scheme.inter_ocular is not None else "box", theirs[None], scheme)
        pairs.append((int(i), int(j), 100 * float(nme(point_errors(ours[None], theirs[None]), length)[0])))
    first, second, values = (np.array(column) for column in zip(*pairs, strict=True)) if pairs else np.zeros((3, 0))
    joined = coo_array((values, (first.astype(int), second.astype(int))), shape=(len(records),) * 2)
    _, group = connected_components(joined, directed=False)
    groups = group[first.astype(int)]
    means = np.array([values[groups == one].mean() for one in np.unique(groups)])
    faces = int(np.isin(group, groups).sum())
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


def _grey(record: Record, size: int, scale: float) -> npt.NDArray[np.float32]:
    """Return a face's grey crop ``(size, size)``."""
    return crop(read_image(record.image), _to_crop(record, size, scale), size).mean(-1).astype(np.float32)


def _to_crop(record: Record, size: int, scale: float) -> Array:
    return box_to_crop(tight_box(record.xy), size, scale)


def _fit(a: Record, b: Record, same: float) -> Array | None:
    """Return the affine from a's large crop to b's where they show one picture, else None."""
    mine, theirs = _grey(a, _LARGE, 0.7), _grey(b, _LARGE, 0.7)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-6)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        likeness, warp = cv2.findTransformECC(mine, theirs, start, cv2.MOTION_AFFINE, criteria, None, 5)
    except cv2.error:  # it does not converge: two pictures
        return None
    return np.asarray(warp, np.float64) if likeness > same else None


if __name__ == "__main__":
    main()
