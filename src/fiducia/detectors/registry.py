"""Detectors by name. A new detector is a new file in this package that registers itself here.

Importing this module imports no torch, and neither does any detector.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..errors import UsageError
from ..registry import Registry, did_you_mean
from .boxes import BoxesFile

if TYPE_CHECKING:
    from ..structures import Detector

__all__ = ["DEFAULT", "Scored", "describe_detectors", "detectors", "fingerprint", "get_detector", "no_file"]

DEFAULT = "auto"
"""The detector that is used where none is named."""

detectors: Registry[Callable[[str], Detector]] = Registry("detector", "fiducia.detectors")
"""Name → builder, called with what follows the colon in ``NAME:FILE`` (an empty string where nothing does).

The first line of a builder's docstring is what ``fiducia list detectors`` shows.
"""

_RETIRED = {
    "haar": "OpenCV's cascades were removed; use --detector yunet, which finds more faces in less time",
    "haar_alt2": "OpenCV's cascades were removed; use --detector yunet, which finds more faces in less time",
}


@runtime_checkable
class Scored(Protocol):
    """A detector that leaves out faces whose score is below ``min_score``."""

    min_score: float


def no_file(name: str, file: str) -> None:
    """Refuse ``NAME:FILE`` for a detector that reads no file.

    Raises:
        UsageError: ``file`` is not empty.
    """
    if file:
        raise UsageError(f"--detector {name}:{file}: {name} takes no file; use --detector {name}")


def get_detector(name: str | Detector, *, min_score: float | None = None) -> Detector | BoxesFile:
    """Return a detector by name: a registered name, ``NAME:FILE``, or a JSON file of boxes.

    Args:
        name: the name; anything that is a detector already comes back as it is, or with ``min_score`` as a shallow copy.
        min_score: faces with a lower score are left out; None = the detector's own default. It is passed on to detectors
            of the :class:`Scored` shape; boxes from a file are not filtered.

    Raises:
        UsageError: no such name, what it needs is missing or damaged, or ``min_score`` is not in [0, 1].
    """
    if min_score is not None and not 0.0 <= min_score <= 1.0:
        raise UsageError(f"--min-score {min_score}: expected a probability from 0 to 1")
    found = _by_name(name) if isinstance(name, str) else name
    if min_score is not None and isinstance(found, Scored):
        # The caller's own stays as it is: another predictor may have it too.
        found = copy.copy(found) if found is name else found
        found.min_score = min_score
    return found


def _by_name(name: str) -> Detector | BoxesFile:
    head, _, rest = name.partition(":")
    if head in detectors:
        return detectors[head](rest)
    if name.lower().endswith(".json"):
        return BoxesFile(name)
    if head in _RETIRED:
        raise UsageError(f"--detector {name}: {_RETIRED[head]}")
    if name.lower().endswith(".onnx"):
        raise UsageError(f"--detector {name}: a file needs the detector that reads it; use --detector yunet:{name}")
    raise UsageError(
        f"--detector {name}: no such detector{did_you_mean(name, list(detectors))}; a JSON file of boxes also serves"
    )


def fingerprint(name: str) -> str:
    """Return a detector's name as runs that go on compare it: that of a file with the start of its content's SHA-256.

    A file that cannot be read is told where the detector is made.
    """
    head, _, rest = name.partition(":")
    file = rest if head in detectors else name if name.lower().endswith(".json") else ""
    try:
        return f"{name}@{hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]}" if file else name
    except (OSError, ValueError):
        return name


def describe_detectors() -> list[dict[str, Any]]:
    """Return a row for every registered detector: name, whether it is the default, what it is."""
    return [
        {
            "name": name,
            "default": name == DEFAULT,
            "what": (detectors[name].__doc__ or "").strip().partition("\n")[0],
        }
        for name in detectors
    ]
