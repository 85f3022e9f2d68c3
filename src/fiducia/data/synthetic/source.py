"""Faces that fiducia draws itself: exact landmarks, no download, the same picture for the same seed.

``synthetic:`` is a data set of 200 training and 50 test faces, ``synthetic:500`` one of 500 and 125. Pictures are
drawn when the records are loaded, once, as PNG files in a folder of the user's own below the temporary folder; the
folder's name holds a digest of the drawing code, so another version of fiducia draws anew. ``synthetic:DIR`` and
``synthetic:500@DIR`` keep the pictures in a folder of one's choice.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError, UsageError
from ...files import write_atomic
from ...images import write_image
from ...registry import did_you_mean
from ...structures import Record
from ..places import user_path
from ..source import DatasetSpec, datasets
from .brush import Image, Placing
from .paint import paint
from .person import sample_shape
from .shape import DENSE, SELECTIONS, Array, Head, build_head

__all__ = ["read_synthetic", "synthetic_face"]

TRAIN, TEST_SEED, SIZE = 200, 1_000_000, 256
"""Training faces by default; the first test face's seed (training starts at 0); the pictures' side in pixels."""
LIMIT = 100_000


def synthetic_face(
    seed: int, *, size: int = 256, scheme: str = "ibug68"
) -> tuple[Image, npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Draw one face: person, expression, pose, light, hair, glasses, background all follow from the seed.

    All landmark sets show the same picture, and points of the same meaning have the same position. Yaw is within
    ±35°, pitch ±16°, roll ±22°. Every point lies inside the picture.

    Args:
        seed: 0 or more; another seed, another face.
        size: side of the picture in pixels, 32 or more and even; the face scales with it.
        scheme: ``ibug68``, ``wflw98``, ``cofw29``, ``aflw19``, ``lapa106`` or ``five``.

    Returns:
        The picture uint8 ``(size, size, 3)`` RGB, the landmarks float64 ``(K, 2)`` in its pixels, and int8 ``(K,)``
        2 = visible, 1 = behind hair or dark glasses.

    Raises:
        UsageError: a landmark set that is not drawn, a negative seed or an unfit size.
    """
    chosen = _selection(scheme)
    if seed < 0 or size < 32 or size % 2:
        raise UsageError(
            f"synthetic faces have a seed of 0 or more and an even size of 32 or more; found {seed}, {size}"
        )
    picture, xy, visible = _draw(seed, size)
    return picture, xy[chosen], visible[chosen]


def read_synthetic(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read one split of the drawn faces, and draw those that are not on disk yet.

    Args:
        root: empty, ``COUNT``, ``DIR`` or ``COUNT@DIR``; COUNT is the number of training faces, a quarter more are
            for testing. The first faces of a larger set are the smaller set.
        split: ``train`` or ``test``.
        scheme: None (``ibug68``) or one of those of :func:`synthetic_face`.

    Returns:
        Records whose ``id`` is ``train/00000`` and so on; ``part`` is the split and ``photo`` the id.

    Raises:
        UsageError: an unknown landmark set, or a count out of range.
        FiduciaError: the folder cannot be written.
    """
    count, folder = _parse(root)
    scheme = scheme or "ibug68"
    chosen = _selection(scheme)
    first, number = (0, count) if split == "train" else (TEST_SEED, -(-count // 4))
    records = []
    for k in range(number):
        name, seed = f"{split}/{k:05d}", first + k
        path = folder / f"{name}.png"
        xy, visible = _points(seed, path)
        records.append(
            Record(
                image=path,
                xy=xy[chosen],
                visible=visible[chosen],
                scheme=scheme,
                tags={"id": name, "part": split, "photo": name},
            )
        )
    return records


def _points(seed: int, path: Path) -> tuple[Array, npt.NDArray[np.int8]]:
    """Return all dense points and how visible they are; draw the picture and write both where they are missing."""
    beside = path.with_suffix(".npy")
    if not path.exists() or not beside.exists():
        image, xy, visible = _draw(seed, SIZE)
        stored = io.BytesIO()
        np.save(stored, np.column_stack([xy, visible]))
        # The picture comes last: where it stands, its points stand.
        write_atomic(beside, stored.getvalue())
        write_image(path, image)
    try:
        table = np.load(beside)
        if table.shape != (DENSE, 3):
            raise ValueError(f"holds {table.shape}")
    except (OSError, ValueError, EOFError) as error:
        raise FiduciaError(
            f"{beside}: not the points of a drawn face ({error}); delete the folder {path.parent}"
        ) from None
    return table[:, :2], table[:, 2].astype(np.int8)


def _draw(seed: int, size: int) -> tuple[Image, Array, npt.NDArray[np.int8]]:
    """Return a picture, its dense points ``(111, 2)`` and how visible each is."""
    head = build_head(sample_shape(np.random.default_rng([seed, 0])))
    place = _stand(head, size, np.random.default_rng([seed, 1]))
    picture, hidden = paint(head, place, np.random.default_rng([seed, 2]))
    xy = place(head, head.points)
    column, row = np.clip(np.rint(xy), 0, size - 1).astype(np.intp).T
    return picture, xy, np.where(hidden[row, column], 1, 2).astype(np.int8)


def _stand(head: Head, size: int, rng: np.random.Generator) -> Placing:
    """Choose a scale and a place where every point is inside the picture, 5 % of the side away from its border."""
    points = head.view(head.points)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size * min(float(rng.uniform(0.24, 0.33)), 0.86 / float((high - low).max()))
    first, last = 0.05 * size - scale * low, 0.95 * size - scale * high
    share = np.clip(0.5 + 0.17 * rng.standard_normal(2), 0, 1)
    return Placing(size=size, scale=scale, origin=first + share * (last - first) - 0.5)


def _selection(scheme: str) -> list[int]:
    if scheme not in SELECTIONS:
        raise UsageError(f"drawn faces have no landmark set {scheme!r}{did_you_mean(scheme, list(SELECTIONS))}")
    return list(SELECTIONS[scheme])


def _parse(root: str) -> tuple[int, Path]:
    """Read ``COUNT``, ``DIR`` or ``COUNT@DIR``."""
    number, mark, folder = root.strip().partition("@")
    if not number.lstrip("-").isdecimal():
        number, folder = str(TRAIN), root.strip()
    elif mark and not folder:
        raise UsageError(f"synthetic:{root}: no folder after the @; expected synthetic:COUNT@DIR")
    count = int(number)
    if not 1 <= count <= LIMIT:
        raise UsageError(f"synthetic:{root}: {count} training faces; expected 1 to {LIMIT}")
    return count, user_path(folder) if folder else _cache()


def _cache() -> Path:
    """Return the user's own folder for drawings of this version; nobody else can have put pictures there."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    path = Path(tempfile.gettempdir()) / f"fiducia-synthetic-{user}-{_digest()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        stranger = hasattr(os, "getuid") and path.stat().st_uid != os.getuid()
    except OSError as error:
        raise FiduciaError(f"{path}: cannot be made ({error.strerror}); name a folder: synthetic:DIR") from None
    if stranger:
        raise FiduciaError(f"{path}: belongs to another user; name a folder of your own: synthetic:DIR")
    return path


@cache
def _digest() -> str:
    """Return 12 hex digits that change with the drawing code and the libraries that it draws with."""
    total = hashlib.sha256(f"{cv2.__version__} {np.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


datasets.register("synthetic")(
    DatasetSpec(
        name="synthetic",
        summary="faces drawn by fiducia itself: synthetic:, synthetic:COUNT, synthetic:DIR or synthetic:COUNT@DIR",
        schemes=tuple(SELECTIONS),
        splits=("train", "test"),
        read=read_synthetic,
        fetch="nothing to fetch: drawn when first used, kept in a temporary folder or in DIR",
        licence="Apache-2.0, as fiducia",
    )
)
