"""Export trained weights as a graph, check it on faces, and delete it if its points differ."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import FiduciaError
from ..exporting.certificate import certificate_path, certify
from ..exporting.graphs import check_request
from ..exporting.graphs import export as write
from ..files import require_writable
from ..runtimes.opening import open_runtime
from ..runtimes.torch_runtime import TorchRuntime
from ..weights.card import card_scheme
from ..weights.places import load_saved_plugins
from ..weights.store import load_weights
from .faces import check_faces

__all__ = ["export"]


def export(
    weights: str | Path,
    out: str | Path,
    *,
    format: str = "onnx",  # noqa: A002
    precision: str = "float32",
    check_data: str | None = None,
    check_split: str | None = None,
    faces: int = 224,
) -> dict[str, Any]:
    """Export weights as ONNX or OpenVINO, from uint8 crops to points and confidence, with a certificate beside the file.

    Args:
        weights: a shipped name, a safetensors file or a run's directory.
        out: ``*.onnx``, or ``*.xml`` with a ``*.bin`` beside it.
        format: ``onnx`` or ``openvino``.
        precision: ``float32``, ``float16``, ``bfloat16`` (openvino) or ``int8`` (onnx).
        check_data: ``NAME:ROOT`` of annotated faces for the certificate; None = synthetic faces.
        check_split: their split.
        faces: maximum number of faces.

    Returns:
        The certificate: distances in crop pixels to ``model.decode`` in torch; with labels, also the NME before and after.

    Raises:
        UsageError: an unknown format or precision, a missing extra, or a place that cannot be written.
        FiduciaError: the network cannot be exported, or the graph gives other points; then no file is left.

    Example:
        >>> import tempfile, fiducia
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     certificate = fiducia.export("fifa_tiny", f"{folder}/fifa_tiny.onnx", faces=2)
        >>> certificate["pixels_max"] < 0.01
        True
    """
    out = Path(out)
    check_request(out, format, precision)
    require_writable(out)
    load_saved_plugins(weights)
    model, card = load_weights(weights)
    data, split, records = check_faces(check_data, check_split, faces, card.scheme, card.box_source)
    before = TorchRuntime(model, card, card_scheme(card))
    origin = {"data": data, "split": split}
    with _folder_beside(out) as folder:
        made = folder / out.name
        write(model, card, made, format, precision)
        after, _ = open_runtime(made, format)
        done = certify(made, card, before, after, runtime=format, precision=precision, faces=records, origin=origin)
        if done["passed"]:
            for file in (made.with_suffix(".bin"), made, certificate_path(made)):
                if file.is_file():
                    file.replace(out.with_name(file.name))
    if not done["passed"]:
        limit = done["limit"]
        raise FiduciaError(
            f"{out}: {limit['figure']} is {done[limit['figure']]:.4f}, over the limit of {limit['at_most']:.4f}; the exported "
            "graph does not give the network's points, so no file was left"
        )
    return done


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """Yield a folder beside a file, for what takes its place only when it is checked; an older export stays until then.

    Raises:
        FiduciaError: nothing can be written there.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".fiducia-", dir=out.parent)
    except OSError as error:
        raise FiduciaError(f"{out}: cannot be written ({error.strerror or error}); choose another place") from None
    with folder as name:
        yield Path(name)
