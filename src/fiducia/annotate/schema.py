"""The Arrow schemas of what is written: one row a face, and one row a photograph. docs/annotate.md describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..faces.face import Face
from ..faces.plain import Origin, face_table
from ..files import printable

__all__ = ["DONE", "FAILED", "face_row", "faces_schema", "photograph_row", "photographs_schema", "require_pyarrow"]

DONE, FAILED = "done", "failed"
"""What becomes of a photograph: ``status``."""


def require_pyarrow() -> None:
    """Raise where Parquet cannot be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError(
            "fiducia annotate needs the package pyarrow; install the extra: pip install 'fiducia[annotate]'"
        ) from None


def faces_schema() -> Any:
    """Return the schema of ``faces/``: one row for each face of a photograph, or of a frame of a video."""
    import pyarrow as pa

    number = pa.field("element", pa.float32())
    numbers = pa.list_(number)
    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            pa.field("photograph", pa.string(), nullable=False),
            pa.field("frame", pa.int32()),
            pa.field("time", pa.float64()),
            pa.field("face", pa.int32(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("box", pa.list_(number, 4), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
            pa.field("quality", pa.float32()),
            pa.field("points", numbers, nullable=False),
            pa.field("confidence", numbers, nullable=False),
            pa.field("sigma", numbers),
            pa.field("visible", numbers),
            pa.field("scheme", pa.string(), nullable=False),
            pa.field("weights", pa.string(), nullable=False),
            pa.field("weights_sha256", pa.string(), nullable=False),
        ]
    )


def photographs_schema() -> Any:
    """Return the schema of ``photographs/``: one row for each photograph or video, with or without faces."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            pa.field("photograph", pa.string(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("frames", pa.int32()),
            pa.field("faces", pa.int32(), nullable=False),
            pa.field("error", pa.string()),
            pa.field("remark", pa.string()),
        ]
    )


def face_row(
    face: Face,
    place: tuple[int, str],
    size: tuple[int, int],
    origin: Origin,
    frame: tuple[int, float] | None = None,
) -> dict[str, Any]:
    """Return the row of a face; the numbers are those that ``--format json`` of ``detect`` writes.

    Args:
        face: with its number (in a video: of its track).
        place: position and name of the photograph.
        size: width and height of the photograph in pixels.
        origin: what made the points.
        frame: of a video, number and time in seconds.
    """
    table = face_table(face)
    return {
        "position": place[0],
        "photograph": printable(place[1]),
        "frame": frame[0] if frame is not None else None,
        "time": frame[1] if frame is not None else None,
        "face": table["id"],
        "width": size[0],
        "height": size[1],
        **{key: table[key] for key in ("box", "score", "confidence", "scheme")},
        "points": [value for point in table["points"] for value in point],
        **{key: table.get(key) for key in ("quality", "sigma", "visible")},
        "weights": origin.weights,
        "weights_sha256": origin.sha256,
    }


def photograph_row(
    place: tuple[int, str],
    *,
    faces: int = 0,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    error: str = "",
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the row of a photograph or a video; with an ``error`` it failed."""
    return {
        "position": place[0],
        "photograph": printable(place[1]),
        "status": FAILED if error else DONE,
        "width": size[0] if size else None,
        "height": size[1] if size else None,
        "frames": frames,
        "faces": faces,
        "error": printable(error) or None,
        "remark": printable("; ".join(remarks)) or None,
    }
