"""AFLW2000-3D (Zhu et al. 2016): the first 2,000 faces of AFLW with a fitted 3-D face; its 68 points seen in the picture.

``imageNNNNN.jpg`` and ``imageNNNNN.mat`` lie side by side; ``pt3d_68`` (3, 68) holds x, y, depth in pixels of the 450 x 450
picture, counted from 1: the authors' own Matlab script plots them on ``imshow``. Points behind the head are where the
fitted face has them, so the contour is that of 3-D, not the visible edge. ``Pose_Para`` holds pitch, yaw, roll in radians.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import FiduciaError, UsageError
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import IMAGES, collect, load_mat, shaped

__all__ = ["read_aflw2000", "scan_aflw2000"]

FETCH = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm (AFLW2000-3D.zip)"
_LAYOUT = "a folder with imageNNNNN.jpg and imageNNNNN.mat of AFLW2000-3D"


def read_aflw2000(root: str, split: str = "test", scheme: str | None = None) -> list[Record]:
    """Read the faces in the order of their names.

    Returns:
        Records; ``id`` is the stem; the tags ``yaw_0_30``, ``yaw_30_60`` and ``yaw_60_90`` tell how far the head is turned
        (degrees, either side), and ``yaw`` is the angle itself.

    Raises:
        UsageError: scipy is not installed.
        FiduciaError: no face is there, or a ``.mat`` is broken or of another kind.
    """
    base = existing_root("aflw2000", root, _LAYOUT)
    return collect(scan_aflw2000(root, split, scheme), f"{base}: no face found; expected {_LAYOUT}; fetch: {FETCH}")


def scan_aflw2000(root: str, split: str = "test", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces, and a fault for each file that cannot be used."""
    base = existing_root("aflw2000", root, _LAYOUT)
    if not base.is_dir():
        raise FiduciaError(f"{base}: is a file; expected {_LAYOUT}")
    images = {
        p.stem: p for p in sorted(base.iterdir(), reverse=True) if p.suffix.lower() in IMAGES and p.name[0] != "."
    }
    for path in sorted(p for p in base.glob("*.mat") if not p.name.startswith(".")):
        stem, image = path.stem, images.pop(path.stem, None)
        if image is None:
            yield Fault(f"{path}: no photograph {stem}.jpg beside it; restore it", broken=True)
            continue
        try:
            table = load_mat(path, ("pt3d_68", "Pose_Para"), "a face of AFLW2000-3D")
            points = shaped(path, "pt3d_68", table["pt3d_68"], (3, 68))
            pose = shaped(path, "Pose_Para", table["Pose_Para"], (1, 7))[0]
        except UsageError:
            raise
        except FiduciaError as error:
            yield Fault(str(error), broken=True)
            continue
        yaw = float(np.degrees(pose[1]))
        turned = min(int(abs(yaw) // 30), 2)
        yield Record(
            image=image,
            xy=np.ascontiguousarray(points[:2].T - 1.0),
            visible=np.full(68, 2, dtype=np.int8),
            scheme="ibug68",
            tags={
                "id": stem,
                "photo": stem,
                "yaw": round(yaw, 3),
                **{f"yaw_{30 * i}_{30 * i + 30}": turned == i for i in range(3)},
            },
        )
    for image in sorted(images.values()):
        yield Fault(f"{image}: no {image.stem}.mat beside it; the photograph is not used", broken=False)


datasets.register("aflw2000")(
    DatasetSpec(
        name="aflw2000",
        summary="AFLW2000-3D: faces of any pose with the 68 points of a fitted 3-D face",
        schemes=("ibug68",),
        splits=("test",),
        counts={"test": 2000},
        read=read_aflw2000,
        scan=scan_aflw2000,
        fetch=FETCH,
        licence="research only; the photographs are AFLW's",
        parts=("test",),
    )
)
