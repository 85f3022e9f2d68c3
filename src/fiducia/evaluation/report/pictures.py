"""The report's faces: truth and answer, or two answers, drawn on crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...draw.pictures import GREEN, RED, contact_sheet, draw_errors, draw_points
from ...geometry import affine_apply, box_to_crop, tight_box
from ...images import crop, read_image
from ..evaluate import Evaluation
from .others import Compared

Image = npt.NDArray[np.uint8]

__all__ = ["Image", "Tile", "apart", "face_crop", "jpeg", "ranked", "sheet", "tiles", "versus"]

_SIDE = 256
_SEEN = 0.05  # percent: two answers that are nearer than that look alike
_WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Tile:
    """A drawn face, uint8 ``(256, 256, 3)`` RGB, with its error and its id."""

    image: Image
    error: str
    id: str


def ranked(done: Evaluation, count: int) -> dict[str, list[int]]:
    """Return which faces are the ``worst`` (those that were not found first), in the ``median`` and the ``best``."""
    values = done.scores.nme[done.kind]
    # Equal errors stay in the data's order. A face without a normaliser cannot be ranked.
    order = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
    order = order[done.scores.measured[done.kind][order]].tolist()
    few = max(1, count // 4)
    middle = max(0, (len(order) - few) // 2)
    return {"worst": order[::-1][:count], "median": order[middle : middle + few], "best": order[:few]}


def tiles(done: Evaluation, indices: Iterable[int]) -> list[Tile]:
    """Return faces with the truth green and the answer red, a white line from each point to its own."""
    made = []
    for i in indices:
        picture, to_crop = face_crop(done, i)
        truth, found = affine_apply(to_crop, done.records[i].xy), affine_apply(to_crop, done.found[i])
        value = done.scores.nme[done.kind][i]
        error = "not found" if np.isnan(value) else f"{100 * value:.2f} %"
        made.append(Tile(draw_errors(picture, truth, found), error, done.records[i].id))
    return made


def versus(done: Evaluation, one: Compared, indices: Iterable[int]) -> list[Tile]:
    """Return faces with the truth as small white dots, this answer green and the other's red."""
    made = []
    for i in indices:
        picture, to_crop = face_crop(done, i)
        assert one.other.xy is not None
        for xy, colour, radius in (
            (done.records[i].xy, _WHITE, 1.1),
            (one.other.xy[i], RED, 1.9),
            (done.found[i], GREEN, 1.9),
        ):
            picture = draw_points(picture, affine_apply(to_crop, xy), colour, radius)
        ours, theirs = 100 * done.scores.nme[one.kind][i], 100 * one.other.nme[one.kind][i]
        made.append(Tile(picture, f"{ours:.2f} against {theirs:.2f} %", done.records[i].id))
    return made


def apart(one: Compared, count: int) -> dict[str, list[int]]:
    """Return the faces on which two results differ most: those that this one has ``better``, and ``worse``."""
    order = np.argsort(np.where(np.isnan(one.gain), 0.0, one.gain), kind="stable").tolist()
    return {
        "better": [i for i in order[:count] if one.gain[i] < -_SEEN],
        "worse": [i for i in order[::-1][:count] if one.gain[i] > _SEEN],
    }


def sheet(faces: Sequence[Tile], columns: int = 6) -> Image:
    """Return faces as one picture, the error and the end of the id below each."""
    captions = [f"{tile.error}  {tile.id.rsplit('/', 1)[-1]}" for tile in faces]
    return contact_sheet([tile.image for tile in faces], captions=captions, columns=columns)


def jpeg(picture: Image, quality: int = 86) -> bytes:
    """Return a picture as a JPEG file's bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def face_crop(done: Evaluation, i: int, side: int = _SIDE) -> tuple[Image, npt.NDArray[np.float64]]:
    """Return a face, uint8 ``(side, side, 3)``, and the ``(2, 3)`` affine photograph → crop."""
    record = done.records[i]
    try:
        to_crop = box_to_crop(tight_box(record.xy), side, 0.7)
    except ValueError:  # too few points are labelled; then the network was given the data set's own box
        known = record.box if record.box is not None else np.array([0.0, 0.0, side, side])
        to_crop = box_to_crop(known, side, 0.7)
    return crop(read_image(record.image), to_crop, side), to_crop
