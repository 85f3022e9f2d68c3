"""What computes the network: crops in, points and confidence out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..heatmaps.maps import decode
from ..weights.files import WeightCard, load_card, load_weights
from ..registry import Registry, did_you_mean
from ..schemes.sets import Scheme, SchemeError, get_scheme, scheme_from_table
from ..errors import FiduciaError, UsageError
from ..structures import Runtime
from ..exporting.sealed import Sealed, is_export, read_sealed

__all__ = [
    "TorchRuntime",
    "card_scheme",
    "crop_points",
    "get_runtime",
    "open_runtime",
    "pick_device",
    "read_card",
    "runtimes",
]


runtimes: Registry[Callable[[nn.Module, WeightCard, Scheme, str], Runtime]] = Registry("runtime")
"""Name → builder from (network, card, scheme, device name)."""


def pick_device(name: str) -> torch.device:
    """Return ``cpu``, ``cuda`` or ``mps``; ``auto`` takes the first that is there of cuda, mps, cpu.

    Raises:
        UsageError: an unknown name, or a device that this machine lacks.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, here in there.items() if here))
    if name.partition(":")[0] not in there:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or mps")
    if not there[name.partition(":")[0]]:
        raise UsageError(f"--device {name}: torch finds no such device here; use --device auto")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or mps") from error


def card_scheme(card: WeightCard) -> Scheme:
    """Return the landmark set of some weights: the one in their card, or the known one of that name.

    Of a card that has only a name that is not known here, bare points without names or lines.

    Raises:
        FiduciaError: the card names a set with another number of points than its network gives.
    """
    try:
        scheme = scheme_from_table(card.scheme_table) if card.scheme_table else get_scheme(card.scheme)
    except SchemeError:
        return scheme_from_table({"name": card.scheme, "points": card.num_points, "mirror": []})
    if scheme.num_points != card.num_points:
        raise FiduciaError(
            f"{card.name}: these weights give {card.num_points} points, but their card says {scheme.name}, which has "
            f"{scheme.num_points}; name weights whose card is their own"
        )
    return scheme


class TorchRuntime:
    """Runs a network in torch; the number of threads is left as it is.

    Args:
        model: takes uint8 ``(N, 3, S, S)``, returns a :class:`fiducia.structures.ModelOutput`; put into eval mode.
        card: its input side and its decoder.
        scheme: the landmark set of its points.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    name = "torch"

    def __init__(self, model: nn.Module, card: WeightCard, scheme: Scheme, device: str = "cpu") -> None:
        self.device = pick_device(device)
        # A fifth off a convolutional network's forward on CPUs; no point moves by more than rounding.
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.size = int(card.size)
        self.decode = card.decode
        self.scheme = scheme

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        points, confidence = crop_points(self.model, torch.from_numpy(crops).to(self.device), self.decode)
        return points.cpu().numpy().astype(np.float32), confidence.cpu().numpy()


@torch.inference_mode()
def crop_points(model: nn.Module, images: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """Return a network's points ``(N, K, 2)`` in crop pixels, and confidence ``(N, K)`` in [0, 1].

    A network without heatmaps says nothing of its confidence: it counts as 1.

    Args:
        model: in evaluation mode.
        images: uint8 ``(N, 3, S, S)`` on the model's device.
        method: a registered decoder.
    """
    output = model(images)
    if output.logits is None:
        return output.points.float(), torch.ones_like(output.points[..., 0], dtype=torch.float32)
    cells, confidence = decode(output.logits.float(), method)
    stride = float(model.stride)  # type: ignore[arg-type]
    points = (cells + 0.5) * stride - 0.5
    return points if output.settle is None else output.settle(points), confidence.clamp(0.0, 1.0).float()


@runtimes.register("torch")
def _torch(model: nn.Module, card: WeightCard, scheme: Scheme, device: str) -> Runtime:
    """The network as it was trained."""
    return TorchRuntime(model, card, scheme, device)


@runtimes.register("onnx")
def _onnx(model: nn.Module, card: WeightCard, scheme: Scheme, device: str) -> Runtime:
    """The network written as an ONNX graph, in onnxruntime on the CPU."""
    return _run_export("onnx", _in_memory(model, card), scheme)


@runtimes.register("openvino")
def _openvino(model: nn.Module, card: WeightCard, scheme: Scheme, device: str) -> Runtime:
    """The network written as an ONNX graph, in OpenVINO on the CPU."""
    return _run_export("openvino", _in_memory(model, card), scheme)


_NEEDS = {"onnx": "onnxruntime", "openvino": "openvino"}


def get_runtime(name: str) -> Callable[[nn.Module, WeightCard, Scheme, str], Runtime]:
    """Return a runtime's builder.

    Raises:
        UsageError: no such runtime, or it is not installed.
    """
    if name not in runtimes:
        raise UsageError(f"--runtime {name}: no such runtime{did_you_mean(name, list(runtimes))}")
    if name in _NEEDS and importlib.util.find_spec(_NEEDS[name]) is None:
        raise UsageError(f"--runtime {name}: {_NEEDS[name]} is not installed: pip install 'fiducia[export]'")
    return runtimes[name]


def read_card(weights: str | Path) -> WeightCard:
    """Return the card of weights, or of a file that ``fiducia export`` wrote.

    Raises:
        UsageError: no such weights.
        FiduciaError: a damaged or foreign file.
    """
    return read_sealed(_export_file(weights)).card if is_export(weights) else load_card(weights)


def open_runtime(weights: str | Path, name: str, device: str = "cpu") -> tuple[Runtime, WeightCard]:
    """Return what computes the points of some weights, and their card.

    Args:
        weights: named as in :func:`fiducia.weights.files.find_weights`, or an exported file, which alone is enough.
        name: a registered runtime. ``onnx`` and ``openvino`` take weights too: they are exported in memory first, which
            takes seconds.
        device: for torch; the others compute on the CPU.

    Raises:
        UsageError: unknown names, or an export in a runtime that cannot read it.
        FiduciaError: a damaged or foreign file.
    """
    build = get_runtime(name)
    if not is_export(weights):
        model, card = load_weights(weights)
        return build(model, card, card_scheme(card), device), card
    path = _export_file(weights)
    able = ("onnx", "openvino") if path.suffix.lower() == ".onnx" else ("openvino",)
    if name not in able:
        raise UsageError(f"{path}: an exported graph, which --runtime {name} cannot read; use --runtime {able[0]}")
    sealed = read_sealed(path)
    return _run_export(name, sealed, card_scheme(sealed.card)), sealed.card


def _export_file(weights: str | Path) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    return path


def _in_memory(model: nn.Module, card: WeightCard) -> Sealed:
    from ..exporting.graphs import to_onnx

    return Sealed(card=card, precision="float32", source=card.sha256, graph=to_onnx(model, card), origin=card.name)


def _run_export(name: str, sealed: Sealed, scheme: Scheme) -> Runtime:
    if name == "onnx":
        from .onnx_runtime import OnnxRuntime

        return OnnxRuntime(sealed, scheme)
    from .openvino_runtime import OpenVinoRuntime

    return OpenVinoRuntime(sealed, scheme)
