"""Weights → OpenVINO's graph by a trace of the network: about two seconds, and no package beside OpenVINO.

:mod:`fiducia.exporting.graphs` writes files that are kept and go elsewhere, through ONNX; it takes five times as long. A trace
records the operations that one batch went through, so a network that decides by its pixels would be recorded wrongly. Whoever
uses this compares the graph's points with the network's own (:mod:`fiducia.runtimes.prepare` does).
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from ..cpu import load_openvino
from ..errors import FiduciaError
from ..models.base import LandmarkModel
from ..weights.card import WeightCard
from .decoder import with_decoder
from .rewrite import fold_batch_norms, simplify_filters
from .rounding import round_depthwise
from .sealed import Sealed

__all__ = ["fast_form", "trace_openvino"]


def fast_form(model: LandmarkModel, method: str | None) -> torch.nn.Module:
    """Return the form of a network that exported graphs have: crops in, points and confidence out.

    Args:
        model: the network; it is copied, not changed.
        method: the decoder; None = the network's own.
    """
    network = copy.deepcopy(model).cpu().float().eval()
    simplify_filters(network)
    fold_batch_norms(network)
    return network.graph(method).eval()


def trace_openvino(
    model: LandmarkModel, card: WeightCard, method: str | None = None, precision: str = "float32"
) -> Sealed:
    """Return trained weights as an OpenVINO graph with its card.

    Args:
        model: the network; it is copied, not changed.
        card: its decoder.
        method: another decoder than the card's.
        precision: ``float32``, or ``bfloat16`` to compute in bfloat16 on CPUs that do.

    Raises:
        FiduciaError: the network says that it cannot be exported, or OpenVINO cannot convert what was traced.
    """
    if model.export_notes():
        raise FiduciaError(f"the network {card.model} cannot be exported: {model.export_notes()}")
    card = with_decoder(model, card, method)
    graph = fast_form(model, card.decode)
    if precision == "bfloat16":
        round_depthwise(graph)
    # Two faces: a batch of one would be taken for a constant.
    example = torch.zeros(2, 3, model.size, model.size, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # Tracing warns of every comparison of sizes, which are constant here, and of itself.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(graph, (example,), check_trace=False)
            converted = _convert(traced, example)
    except (RuntimeError, TypeError, ValueError, AttributeError, ImportError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FiduciaError(f"the network {card.model} cannot be traced for OpenVINO: {reason}") from error
    converted.inputs[0].get_tensor().set_names({"crops"})
    for output, name in zip(converted.outputs, ("points", "confidence"), strict=True):
        output.get_tensor().set_names({name})
    converted.reshape({"crops": [-1, 3, model.size, model.size]})
    sealed = Sealed(card=card, precision=precision, source=card.sha256, graph=b"", weights=b"", origin=card.name)
    converted.set_rt_info(sealed.facts(), ["fiducia"])
    xml, weights = _bytes(converted)
    return Sealed(card=card, precision=precision, source=card.sha256, graph=xml, weights=weights, origin=card.name)


def _convert(traced: Any, example: torch.Tensor) -> Any:
    # Not openvino.convert_model: it does the same, and reports its use over the network.
    load_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    # OpenVINO calls back into the decoder and does not hold it: it has to live until the end.
    decoder = TorchScriptPythonDecoder(traced, example_input=(example,))
    loaded = frontend.load(decoder)
    return frontend.convert(loaded)


def _bytes(model: Any) -> tuple[bytes, bytes]:
    openvino = load_openvino()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        # Numbers that float16 holds exactly would otherwise be stored so, and computed back at each start.
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
