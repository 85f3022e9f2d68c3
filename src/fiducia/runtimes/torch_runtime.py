"""The network as it was trained, in torch. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..device import pick_device
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard
from .forks import LoadedIn
from .registry import register

if TYPE_CHECKING:
    from ..models.base import LandmarkModel

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """Runs a network in torch; the number of threads is left as it is. Several threads may call it at once.

    In a process that was forked after it was loaded it computes with one thread: torch's own did not come along.

    Args:
        model: put into evaluation mode.
        card: its decoder.
        scheme: the landmark set of its points.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        method: the decoder; None = the card's, else the network's own.

    Raises:
        UsageError: a decoder that the network does not have.
    """

    name = "torch"

    def __init__(
        self, model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str = "cpu", method: str | None = None
    ) -> None:
        import torch

        self.device = pick_device(device)
        # A fifth off a convolutional network's forward on CPUs; no point moves by more than rounding.
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.size = model.size
        self.method = model.check_method(method or card.decode)
        self.scheme = scheme
        self._loaded = LoadedIn()

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        import torch

        if self._loaded.forked():
            torch.set_num_threads(1)
        with torch.inference_mode():
            images = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device)
            found = self.model.decode(self.model(images), self.method or None)
            return found.points.float().cpu().numpy(), found.confidence.float().cpu().numpy()


@register("torch")
def _torch(model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str, method: str | None) -> Runtime:
    """The network as it was trained, on the CPU or an accelerator."""
    return TorchRuntime(model, card, scheme, device, method)
