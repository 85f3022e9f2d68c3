"""An exported graph in OpenVINO, on the CPU. It reads exported ONNX files as well as its own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import FiduciaError
from ..exporting.sealed import Sealed, check_signature
from ..models.base import LandmarkModel
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard
from .forks import LoadedIn
from .registry import register

__all__ = ["OpenVinoRuntime"]


class OpenVinoRuntime:
    """Runs an exported graph with as many threads as torch has.

    A batch of one has a graph of its own with that number fixed, which takes a sixth less time than the free one.
    Several threads may call it at once: each has requests of its own on the shared graphs, some megabytes a thread.

    Args:
        sealed: the export.
        scheme: the landmark set of its points.
        threads: None = torch's.

    Raises:
        FiduciaError: OpenVINO cannot load the graph, or it does not fit its card.
    """

    name = "openvino"

    def __init__(self, sealed: Sealed, scheme: Scheme, threads: int | None = None) -> None:
        import openvino

        self.sealed = sealed
        self.core = openvino.Core()
        self.settings = {
            # OpenVINO would take bfloat16 by itself on CPUs that have it, and no longer give torch's points.
            "INFERENCE_PRECISION_HINT": "bf16" if sealed.precision == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = self._read()
        check_signature(
            sealed,
            scheme,
            {i.any_name: _shape(i) for i in model.inputs if i.element_type == openvino.Type.u8},
            {o.any_name: _shape(o) for o in model.outputs},
        )
        self._compiled: dict[bool, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self.size = int(sealed.card.size)
        self.method = sealed.card.decode or ""
        self.scheme = scheme
        self._loaded = LoadedIn()

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        self._loaded.refuse(self.name)
        result = self._request(len(crops) == 1).infer({"crops": np.ascontiguousarray(crops)})
        return np.array(result["points"]), np.array(result["confidence"])

    def _request(self, single: bool) -> Any:
        """Return this thread's request of the graph for one crop or for any number; compiled when first asked for."""
        requests: dict[bool, Any] = self._own.__dict__.setdefault("requests", {})
        if single not in requests:
            with self._lock:
                if single not in self._compiled:
                    model = self._read()
                    if single:
                        model.reshape([1, 3, self.size, self.size])
                    self._compiled[single] = self.core.compile_model(model, "CPU", self.settings)
                requests[single] = self._compiled[single].create_infer_request()
        return requests[single]

    def _read(self) -> Any:
        try:
            if self.sealed.weights is None:
                return self.core.read_model(self.sealed.graph)
            return self.core.read_model(self.sealed.graph, self.sealed.weights)
        except RuntimeError as error:
            raise FiduciaError(
                f"{self.sealed.origin}: OpenVINO cannot load it: {' '.join(str(error).split())[:200]}"
            ) from error


def _shape(port: Any) -> list[object]:
    return [d.get_length() if d.is_static else -1 for d in port.partial_shape]


@register("openvino", read=OpenVinoRuntime, suffixes=(".onnx", ".xml"), package="openvino")
def _openvino(model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str, method: str | None) -> Runtime:
    """The network written as an ONNX graph, in OpenVINO on the CPU."""
    from ..exporting.graphs import in_memory

    return OpenVinoRuntime(in_memory(model, card, method), scheme)
