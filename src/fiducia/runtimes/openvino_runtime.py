"""An exported graph in OpenVINO, on the CPU. It reads exported ONNX files as well as its own."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..cpu import compute_threads, load_openvino
from ..errors import FiduciaError
from ..exporting.sealed import Sealed, check_signature
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard
from .cache import read_blob, write_blob
from .forks import LoadedIn
from .registry import Automatic, register

if TYPE_CHECKING:
    from ..models.base import LandmarkModel

__all__ = ["OpenVinoRuntime"]

_FEW = 4
"""Threads up to which crops are computed one by one; five at once took longer on one thread and on two (measured)."""


class OpenVinoRuntime:
    """Runs an exported graph with as many threads as torch has.

    A batch of one has a graph of its own with that number fixed, which takes a sixth less time than the free one. With few
    threads larger batches are computed crop by crop with it: that is no slower, and the points of a face do not depend on
    the faces beside it.
    Several threads may call it at once: each has requests of its own on the shared graphs, some megabytes a thread.

    Args:
        sealed: the export.
        scheme: the landmark set of its points.
        threads: None = torch's, see :func:`fiducia.cpu.compute_threads`.
        compiled: a folder of the user's own where the compiled graph is kept, for a quicker start; None = nowhere.

    Raises:
        FiduciaError: OpenVINO cannot load the graph, or it does not fit its card.
    """

    name = "openvino"

    def __init__(
        self, sealed: Sealed, scheme: Scheme, threads: int | None = None, compiled: Path | None = None
    ) -> None:
        openvino = load_openvino()
        self.sealed = sealed
        self.core = openvino.Core()
        self.settings: dict[str, Any] = {
            # OpenVINO would take bfloat16 by itself on CPUs that have it, and no longer give torch's points.
            "INFERENCE_PRECISION_HINT": "bf16" if sealed.precision == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": threads or compute_threads(),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Threads that are tied to a core wait for whatever else runs on it, such as another process of ours.
            "ENABLE_CPU_PINNING": False,
        }
        self._folder = compiled
        self._compiled: dict[bool, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self.size = int(sealed.card.size)
        self.method = sealed.card.decode or ""
        self.scheme = scheme
        self._loaded = LoadedIn()
        kept = self._kept()
        model = kept if kept is not None else self._read()
        check_signature(
            sealed,
            scheme,
            {i.any_name: _shape(i) for i in model.inputs if i.element_type == openvino.Type.u8},
            {o.any_name: _shape(o) for o in model.outputs},
        )
        if kept is not None:
            self._compiled[True] = kept

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        self._loaded.refuse(self.name)
        crops = np.ascontiguousarray(crops)
        alone = len(crops) == 1 or (len(crops) > 0 and self.settings["INFERENCE_NUM_THREADS"] <= _FEW)
        parts = [crops[i : i + 1] for i in range(len(crops))] if alone else [crops]
        request = self._request(alone)
        found = []
        for part in parts:
            result = request.infer({"crops": part})
            found.append((np.array(result["points"]), np.array(result["confidence"])))
        points, confidence = zip(*found, strict=True)
        return (points[0], confidence[0]) if len(found) == 1 else (np.concatenate(points), np.concatenate(confidence))

    def _request(self, single: bool) -> Any:
        """Return this thread's request of the graph for one crop or for any number; compiled when first asked for."""
        requests: dict[bool, Any] = self._own.__dict__.setdefault("requests", {})
        if single not in requests:
            with self._lock:
                if single not in self._compiled:
                    self._compiled[single] = self._compile(single)
                requests[single] = self._compiled[single].create_infer_request()
        return requests[single]

    def _compile(self, single: bool) -> Any:
        model = self._read()
        if single:
            model.reshape([1, 3, self.size, self.size])
        compiled = self.core.compile_model(model, "CPU", self.settings)
        if single and self._folder is not None:
            data = compiled.export_model()
            write_blob(self._blob, data.getvalue() if isinstance(data, io.BytesIO) else bytes(data))
        return compiled

    @property
    def _blob(self) -> Path:
        return (self._folder or Path()) / f"compiled-{self.settings['INFERENCE_NUM_THREADS']}.blob"

    def _kept(self) -> Any:
        """Return the compiled graph for one crop that an earlier start kept; None where there is none that can be read."""
        data = read_blob(self._blob) if self._folder is not None else None
        if data is None:
            return None
        try:
            return self.core.import_model(io.BytesIO(data), "CPU", self.settings)
        except RuntimeError:
            return None

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


def _graphs(model: LandmarkModel, card: WeightCard, method: str | None) -> Iterator[Sealed]:
    """Yield the graph for bfloat16 where this CPU computes in it, and then for float32."""
    from ..exporting.traced import trace_openvino

    able = "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for precision in ("bfloat16", "float32") if able else ("float32",):
        yield trace_openvino(model, card, method, precision)


def _open(sealed: Sealed, scheme: Scheme, folder: Path | None) -> Runtime:
    return OpenVinoRuntime(sealed, scheme, compiled=folder)


@register(
    "openvino",
    read=OpenVinoRuntime,
    suffixes=(".onnx", ".xml"),
    package="openvino",
    auto=Automatic(1, _graphs, _open),
)
def _openvino(model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str, method: str | None) -> Runtime:
    """The network written as an ONNX graph, in OpenVINO on the CPU."""
    from ..exporting.graphs import in_memory

    return OpenVinoRuntime(in_memory(model, card, method), scheme)
