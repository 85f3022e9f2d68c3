"""Validation by collection: which faces belong together, and what their errors are divided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..schemes.sets import Scheme
from ..structures import Record

__all__ = ["Collection", "collections_of", "measure_of"]

Normaliser = Literal["ic", "box"]


@dataclass(frozen=True)
class Collection:
    """Faces of one kind, such as ``lfpw`` or ``profile``.

    Attributes:
        name: the tag ``collection`` of its faces.
        kind: the normaliser of their errors: inter-ocular, or the landmark box.
        faces: their places among the records.
    """

    name: str
    kind: Normaliser
    faces: tuple[int, ...]


def collections_of(records: Sequence[Record], scheme: Scheme) -> list[Collection]:
    """Part faces by their ``collection``.

    Errors are divided by the inter-ocular distance where the landmark set has one. A source with faces that lack points is
    measured by the box: on a profile the far eye is absent or the distance near zero, and one source has one measure.

    Args:
        records: faces with the tags ``collection`` and ``source`` (:func:`fiducia.training.faces.split_records`).
        scheme: their landmark set.
    """
    lacking = {r.tags.get("source") for r in records if not np.isfinite(r.xy).all()}
    named: dict[str, list[int]] = {}
    kinds: dict[str, Normaliser] = {}
    for place, record in enumerate(records):
        name, source = str(record.tags.get("collection", "")), record.tags.get("source")
        named.setdefault(name, []).append(place)
        boxed = scheme.inter_ocular is None or source in lacking or kinds.get(name) == "box"
        kinds[name] = "box" if boxed else "ic"
    return [Collection(name, kinds[name], tuple(places)) for name, places in sorted(named.items())]


def measure_of(collections: Sequence[Collection], several: bool) -> str:
    """Return what the validation NME of these collections is, as a card says it.

    Args:
        collections: of :func:`collections_of`.
        several: the run has several sources, and its figure is the mean over the collections.
    """
    units = " and ".join(f"nme_{kind}" for kind in ("ic", "box") if any(c.kind == kind for c in collections))
    return f"{units}, mean over the collections" if several and len(collections) > 1 else units or "nme"
