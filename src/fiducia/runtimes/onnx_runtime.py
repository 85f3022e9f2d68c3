"""An exported graph in onnxruntime, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..cpu import compute_threads
from ..errors import FiduciaError
from ..exporting.sealed import Sealed, check_signature
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard
from .forks import LoadedIn
from .registry import Automatic, register

if TYPE_CHECKING:
    from ..models.base import LandmarkModel

__all__ = ["OnnxRuntime"]


class OnnxRuntime:
    """Runs an exported ONNX graph with as many threads as torch has. Several threads may call it at once.

    Args:
        sealed: the export.
        scheme: the landmark set of its points.
        threads: None = torch's, see :func:`fiducia.cpu.compute_threads`.

    Raises:
        FiduciaError: onnxruntime cannot load the graph, or it does not fit its card.
    """

    name = "onnx"

    def __init__(self, sealed: Sealed, scheme: Scheme, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or compute_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(sealed.graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class
            raise FiduciaError(
                f"{sealed.origin}: onnxruntime cannot load it: {' '.join(str(error).split())[:200]}"
            ) from error
        inputs = {i.name: (i.type, i.shape) for i in self.session.get_inputs()}
        outputs = {o.name: o.shape for o in self.session.get_outputs()}
        check_signature(
            sealed,
            scheme,
            {name: shape for name, (kind, shape) in inputs.items() if kind == "tensor(uint8)"},
            outputs,
        )
        self.size = int(sealed.card.size)
        self.method = sealed.card.decode or ""
        self.scheme = scheme
        self._loaded = LoadedIn()

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        self._loaded.refuse(self.name)
        points, confidence = self.session.run(["points", "confidence"], {"crops": np.ascontiguousarray(crops)})
        return points, confidence


def _graphs(model: LandmarkModel, card: WeightCard, method: str | None) -> Iterator[Sealed]:
    from ..exporting.graphs import in_memory

    yield in_memory(model, card, method)


def _open(sealed: Sealed, scheme: Scheme, folder: Path | None) -> Runtime:
    return OnnxRuntime(sealed, scheme)


@register(
    "onnx",
    read=OnnxRuntime,
    suffixes=(".onnx",),
    package="onnxruntime",
    auto=Automatic(2, _graphs, _open, needs=("onnx", "onnxscript")),
)
def _onnx(model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str, method: str | None) -> Runtime:
    """The network written as an ONNX graph, in onnxruntime on the CPU."""
    from ..exporting.graphs import in_memory

    return OnnxRuntime(in_memory(model, card, method), scheme)
