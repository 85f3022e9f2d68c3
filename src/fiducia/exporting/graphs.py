"""Weights → a graph that needs no torch: uint8 crops in, points and confidence out (ONNX, OpenVINO).

Normalisation, network, sigmoid and the card's decoder are inside; the batch is free. FF-Parsers are written as real matrix
products, because few runtimes compute Fourier transforms, and each BatchNorm that follows a convolution is folded into it.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..cpu import load_openvino
from ..errors import FiduciaError, UsageError
from ..models.base import LandmarkModel
from ..registry import did_you_mean
from ..weights.card import WeightCard
from .decoder import with_decoder
from .rewrite import fold_batch_norms, simplify_filters
from .rounding import round_depthwise
from .sealed import Sealed, write_onnx, write_openvino

__all__ = ["FORMATS", "PRECISIONS", "check_request", "export", "in_memory", "to_onnx", "to_openvino"]

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}
"""Format → the file's suffix."""

PRECISIONS: dict[str, str] = {
    "float32": "weights and arithmetic in float32",
    "float16": "weights stored in float16, half the file; arithmetic in float32",
    "bfloat16": "openvino only: stored in float16, computed in bfloat16 where the CPU has it",
    "int8": "onnx only: the linear layers' weights in int8, their inputs quantised on the way",
}

_SMALL = 1024
"""Constants of fewer elements stay in float32: biases, norms and the tables of the FF-Parsers weigh nothing."""


def to_onnx(model: LandmarkModel, card: WeightCard, precision: str = "float32", method: str | None = None) -> bytes:
    """Return an ONNX model of trained weights, without the card.

    Args:
        model: the network; it is copied, not changed.
        card: its decoder.
        precision: ``float32``, ``float16``, ``int8``, or ``bfloat16`` for weights in float16 that bfloat16 holds well.
        method: another decoder than the card's.

    Raises:
        UsageError: the export extra is not installed, or an unknown precision or decoder.
        FiduciaError: the network says that it cannot be exported, or torch cannot write it as a graph.
    """
    _require("onnx", "onnxscript")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: no such precision{did_you_mean(precision, list(PRECISIONS))}")
    if model.export_notes():
        raise FiduciaError(f"{card.name}: the network {card.model} cannot be exported: {model.export_notes()}")
    network = copy.deepcopy(model).cpu().float().eval()
    simplify_filters(network)
    if precision != "float16":
        # Weights that were stored in float16 stay what they were; runtimes fold these norms by themselves when they load.
        fold_batch_norms(network)
    if precision == "bfloat16":
        round_depthwise(network)
    graph = network.graph(method or card.decode).eval()
    # Two faces: a batch of one would be taken for a constant.
    example = torch.zeros(2, 3, model.size, model.size, dtype=torch.uint8)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                input_names=["crops"],
                output_names=["points", "confidence"],
                dynamic_shapes={"crops": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0][:200]
        raise FiduciaError(f"{card.name}: the network {card.model} cannot be written as ONNX: {reason}") from error
    if program is None:
        raise FiduciaError(f"{card.name}: torch wrote no ONNX model of the network {card.model}")
    proto = program.model_proto
    _strip(proto)
    _share(proto)
    if precision in ("float16", "bfloat16"):
        _store_half(proto)
    if precision == "int8":
        proto = _quantize(proto)
    return proto.SerializeToString()


def to_openvino(graph: bytes, facts: str) -> tuple[bytes, bytes]:
    """Convert an ONNX model to OpenVINO's XML, with ``facts`` in its ``rt_info``, and weights.

    Raises:
        UsageError: openvino is not installed.
        FiduciaError: OpenVINO cannot read the graph.
    """
    _require("openvino")
    openvino = load_openvino()
    try:
        # Not convert_model: it does the same, and reports its use over the network.
        model = openvino.Core().read_model(graph)
    except RuntimeError as error:
        raise FiduciaError(f"OpenVINO cannot read the graph: {' '.join(str(error).split())[:200]}") from error
    model.set_rt_info(facts, ["fiducia"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def in_memory(model: LandmarkModel, card: WeightCard, method: str | None = None) -> Sealed:
    """Return trained weights as an ONNX graph with its card, as a runtime takes it."""
    card = with_decoder(model, card, method)
    graph = to_onnx(model, card)
    return Sealed(card=card, precision="float32", source=card.sha256, graph=graph, origin=card.name)


def export(model: LandmarkModel, card: WeightCard, out: Path, format_: str, precision: str = "float32") -> Sealed:
    """Write trained weights as a graph, card included.

    Args:
        model: the network that :func:`fiducia.weights.store.load_weights` gave.
        card: its card.
        out: the file, ``*.onnx`` or ``*.xml`` (with a ``*.bin`` beside it).
        format_: ``onnx`` or ``openvino``.
        precision: one of :data:`PRECISIONS`.

    Returns:
        What was written.

    Raises:
        UsageError: an unknown format or precision, a precision that the format lacks, another suffix, or a missing extra.
        FiduciaError: the network cannot be written as a graph.
    """
    check_request(out, format_, precision)
    card = with_decoder(model, card)
    graph = to_onnx(model, card, precision)
    sealed = Sealed(card=card, precision=precision, source=card.sha256, graph=graph, origin=str(out))
    if format_ == "onnx":
        write_onnx(out, sealed)
        return sealed
    xml, weights = to_openvino(graph, sealed.facts())
    sealed = Sealed(card=card, precision=precision, source=card.sha256, graph=xml, weights=weights, origin=str(out))
    write_openvino(out, sealed)
    return sealed


def check_request(out: Path, format_: str, precision: str) -> None:
    """Refuse a request that cannot be met, before any work is done.

    Raises:
        UsageError: see :func:`export`.
    """
    if format_ not in FORMATS:
        raise UsageError(f"--format {format_}: expected {' or '.join(FORMATS)}")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: no such precision{did_you_mean(precision, list(PRECISIONS))}")
    only = PRECISIONS[precision].partition(" only")[0]
    if only in FORMATS and only != format_:
        raise UsageError(f"--precision {precision} is for --format {only} alone; found --format {format_}")
    if out.suffix.lower() != FORMATS[format_]:
        raise UsageError(f"--out {out}: an {format_} file's name ends in {FORMATS[format_]}")
    _require("onnx", "onnxscript", *(["openvino"] if format_ == "openvino" else ["onnxruntime"]))


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"export needs {' and '.join(missing)}, not installed: pip install 'fiducia[export]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporter says about torchvision and about torch itself, and nothing else."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _strip(proto: Any) -> None:
    """Take out the stack traces that torch writes into a graph: they name files of the machine that exported it."""
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.initializer, *proto.graph.input, proto.graph):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    proto.ClearField("metadata_props")
    proto.producer_name, proto.domain = "fiducia", ""


def _share(proto: Any) -> None:
    """Keep one of constants that are equal: every FF-Parser of a size has the same tables."""
    kept: dict[bytes, str] = {}
    same: dict[str, str] = {}
    initializers = list(proto.graph.initializer)
    for tensor in initializers:
        # The name is no part of what is compared.
        key = tensor.SerializeToString(deterministic=True).replace(tensor.name.encode(), b"", 1)
        same[tensor.name] = kept.setdefault(key, tensor.name)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(t for t in initializers if same[t.name] == t.name)
    for node in proto.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]


def _store_half(proto: Any) -> None:
    """Store large float32 constants as float16, each with a cast back, which runtimes compute once when they load."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name.endswith((".dft", ".moments")):
            # A transform there and back is no more exact than its tables.
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALL or abs(values).max() > 65000:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _quantize(proto: Any) -> Any:
    """Quantise the linear layers dynamically; convolutions stay, which in int8 take several times as long (measured)."""
    _require("onnxruntime")
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    sizes = {t.name: torch.Size(t.dims).numel() for t in proto.graph.initializer}
    small = [
        node.name
        for node in proto.graph.node
        if node.op_type in ("MatMul", "Gemm") and max((sizes.get(name, 0) for name in node.input), default=0) < _SMALL
    ]
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
            onnx.save(proto, source)
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
                nodes_to_exclude=small,
                per_channel=True,
            )
            return onnx.load(target)
    finally:
        logger.setLevel(level)
