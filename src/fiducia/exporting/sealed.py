"""Exported files: the weights' card rides inside, and a digest at the end tells a damaged or foreign file from ours.

An ONNX file is a protobuf message, so appending a field to its bytes sets that field: card and digest are two more entries of
``metadata_props``, read here without onnx. OpenVINO's XML carries the card in its ``rt_info`` and ends in a comment with the
digest of XML and weights together.
"""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..errors import FiduciaError
from ..files import read_bytes, write_atomic
from ..schemes.sets import Scheme
from ..weights.card import WeightCard, check_card, parse_json
from ..words import one_line

__all__ = ["Sealed", "check_signature", "is_export", "read_sealed", "seal_onnx", "write_onnx", "write_openvino"]

_KEY, _SEAL_KEY = b"fiducia", b"fiducia_seal"
_SEAL = re.compile(rb"(\d{10}) ([0-9a-f]{64})")
_COMMENT = re.compile(rb"<!-- fiducia ([0-9a-f]{64}) -->\n")
_AGAIN = "write it again with: fiducia export"
_LARGEST = 4_000_000_000
"""Bytes of a file; ONNX itself ends at two thousand million."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An exported graph.

    Attributes:
        card: of the weights that were exported; ``sha256`` is the exported file's.
        precision: ``float32``, ``float16``, ``bfloat16`` or ``int8``, see :mod:`fiducia.exporting.graphs`.
        source: SHA-256 of the weight file that was exported; empty where there was none.
        graph: the ONNX model, or OpenVINO's XML.
        weights: OpenVINO's weights; None for ONNX.
        origin: the file, for messages.
        fiducia: the version that exported it.
    """

    card: WeightCard
    precision: str
    source: str
    graph: bytes
    weights: bytes | None = None
    origin: str = "export"
    fiducia: str = __version__

    def facts(self) -> str:
        """Return what the file says of itself, as JSON on one line."""
        return json.dumps(
            {
                "format": 1,
                "fiducia": self.fiducia,
                "precision": self.precision,
                "source_sha256": self.source,
                "card": self.card.model_copy(update={"sha256": ""}).model_dump(mode="json"),
            }
        )


def is_export(weights: str | Path) -> bool:
    """Tell by its suffix whether this names an exported graph, and not weights."""
    return Path(weights).suffix.lower() in (".onnx", ".xml")


def seal_onnx(sealed: Sealed) -> bytes:
    """Return the bytes of an ONNX file: the graph, the card, the digest of both."""
    facts = sealed.facts().encode()
    body = sealed.graph + _metadata(_KEY, facts)
    return body + _metadata(_SEAL_KEY, b"%010d %s" % (len(facts), hashlib.sha256(body).hexdigest().encode()))


def write_onnx(path: Path, sealed: Sealed) -> None:
    """Write an ONNX file; beside, then renamed."""
    write_atomic(path, seal_onnx(sealed))


def write_openvino(path: Path, sealed: Sealed) -> None:
    """Write OpenVINO's XML, whose ``rt_info`` holds :meth:`Sealed.facts` already, and the weights beside it as ``.bin``."""
    weights = sealed.weights or b""
    body = sealed.graph.rstrip() + b"\n"
    digest = hashlib.sha256(body + weights).hexdigest().encode()
    write_atomic(path.with_suffix(".bin"), weights)
    write_atomic(path, body + b"<!-- fiducia %s -->\n" % digest)


def read_sealed(path: Path) -> Sealed:
    """Read an exported file and check that it is whole.

    Raises:
        FiduciaError: the file (or its ``.bin``) cannot be read, is damaged, or was not written by ``fiducia export``.
    """
    data = _bytes(path)
    weights = _bytes(path.with_suffix(".bin")) if path.suffix.lower() == ".xml" else None
    graph, facts = _open_onnx(path, data) if weights is None else _open_openvino(path, data, weights)
    table = parse_json(facts, str(path))
    words = ("precision", "source_sha256", "fiducia")
    if not isinstance(table, dict) or not all(isinstance(table.get(key), str) for key in words) or "card" not in table:
        raise FiduciaError(f"{path}: what it says of itself is not whole; {_AGAIN}, of this version")
    whole = hashlib.sha256(data)
    whole.update(weights or b"")
    return Sealed(
        card=check_card(table["card"], str(path)).model_copy(update={"sha256": whole.hexdigest()}),
        precision=one_line(table["precision"], 40),
        source=one_line(table["source_sha256"], 64),
        graph=graph,
        weights=weights,
        origin=str(path),
        fiducia=one_line(table["fiducia"], 40),
    )


def check_signature(
    sealed: Sealed, scheme: Scheme, inputs: dict[str, list[object]], outputs: dict[str, list[object]]
) -> None:
    """Check that a graph takes the crops and gives the points that its card promises.

    Args:
        sealed: the export.
        scheme: the landmark set that its card names.
        inputs: name → shape of its uint8 inputs; the batch is anything.
        outputs: name → shape.

    Raises:
        FiduciaError: another input, or points of another number.
    """
    size, count = sealed.card.size, scheme.num_points
    want = {"crops": [3, size, size]}, {"points": [count, 2], "confidence": [count]}
    found = {n: list(s[1:]) for n, s in inputs.items()}, {n: list(s[1:]) for n, s in outputs.items()}
    if found != want:
        raise FiduciaError(
            f"{sealed.origin}: its card says {scheme.name} ({count} points) at {size} pixels, but the graph maps "
            f"{found[0]} to {found[1]}; write it again with: fiducia export"
        )


def _bytes(path: Path) -> bytes:
    return read_bytes(path, _LARGEST, "an exported graph")


def _open_onnx(path: Path, data: bytes) -> tuple[bytes, bytes]:
    size = len(_metadata(_SEAL_KEY, b"0" * 75))
    match = _SEAL.fullmatch(data[-75:])
    if match is None or data[-size:] != _metadata(_SEAL_KEY, match[0]):
        raise _foreign(path, "ONNX", data)
    body = data[:-size]
    if hashlib.sha256(body).hexdigest().encode() != match[2]:
        raise _damaged(path)
    return body, body[len(body) - int(match[1]) :]


def _open_openvino(path: Path, data: bytes, weights: bytes) -> tuple[bytes, str]:
    body, comment = data[:-82], data[-82:]
    match = _COMMENT.fullmatch(comment)
    if match is None:
        raise _foreign(path, "OpenVINO", data)
    if hashlib.sha256(body + weights).hexdigest().encode() != match[1]:
        raise _damaged(path)
    if b"<!DOCTYPE" in body:
        raise _foreign(path, "OpenVINO", data)  # its entities may swell
    try:
        entry = ElementTree.fromstring(body).find("rt_info/fiducia")
    except ElementTree.ParseError:
        raise _damaged(path) from None
    if entry is None:
        raise _foreign(path, "OpenVINO", data)
    return body, entry.get("value", "")


def _foreign(path: Path, kind: str, data: bytes) -> FiduciaError:
    if not data:
        return FiduciaError(f"{path}: the file is empty; {_AGAIN}")
    return FiduciaError(
        f"{path}: cut off, or not an {kind} file of fiducia export, so its landmarks and crop are unknown; {_AGAIN}"
    )


def _damaged(path: Path) -> FiduciaError:
    return FiduciaError(f"{path}: its digest does not match, the file is damaged or was changed; {_AGAIN}")


def _metadata(key: bytes, value: bytes) -> bytes:
    """Return one entry of ONNX's ``ModelProto.metadata_props`` (field 14: key = 1, value = 2) as protobuf."""
    entry = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(value)) + value
    return b"\x72" + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
