"""An ensemble: several trained networks look at one crop, and their points are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .build import build_model
from .registry import register

__all__ = ["Ensemble", "member_state"]

_PAIR = [{"model": "fifa_small", "size": 256}, {"model": "fifa_tiny", "size": 128}]
_TEST: list[dict[str, Any]] = [
    {
        "model": "fifa_tiny",
        "backbone": {"width": 32, "depth": 3, "heads": 2, "stem": "conv", "stem_base": 8},
        "hourglass": {"channels": 16, "depth": 1},
    },
    {"model": "vit_base", "size": 32, "width": 32, "depth": 2, "heads": 2, "channels": 16},
]


@register(
    "ensemble",
    size=256,
    options={"members": _PAIR},
    about="several trained networks, their points averaged",
    test_options={"members": _TEST},
    test_size=64,
)
class Ensemble(LandmarkModel):
    """Networks of any kind whose errors differ; the mean of their points errs less than each (Lakshminarayanan et al. 2017).

    A member for smaller crops gets the crop averaged down to its side, so its side must divide the ensemble's. ``fiducia
    weights join`` writes one from trained weights.

    Args:
        num_points: K.
        size: S, side of the input in pixels, a multiple of each member's own.
        members: one table a member: ``model``, its registered name; ``size``, its side; and all its options.
        scheme: the landmark set, for members that want it.

    Raises:
        ValueError: fewer than two members, or sides that do not divide.
        UsageError: a member that cannot be built.
    """

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        members: Sequence[Mapping[str, Any]] = (),
        scheme: Scheme | None = None,
    ) -> None:
        super().__init__(num_points, size)
        if isinstance(members, str) or not all(isinstance(member, Mapping) for member in members):
            raise ValueError(f"a member is a table with its model, size and options; found {members!r}")
        if len(members) < 2:
            raise ValueError(f"an ensemble has two members or more; found {len(members)}")
        self.factors: list[int] = []
        networks: list[LandmarkModel] = []
        for member in members:
            options = {k: v for k, v in member.items() if k not in ("model", "size")}
            name, side = str(member.get("model", "")), int(member.get("size", size))
            if side < 1 or size % side:
                raise ValueError(f"{name} looks at {side} pixels, which do not divide {size}")
            networks.append(build_model(name, num_points, side, options=options, scheme=scheme, preset=not options))
            self.factors.append(size // side)
        self.members = nn.ModuleList(networks)
        self._networks = tuple(networks)
        first = networks[0].decoders
        self.decoders = tuple(d for d in first if all(d in network.decoders for network in networks))

    def prepare(self, mean_face: Tensor) -> bool:
        """Hand the face to the members, whose crops show the same part of the photograph."""
        used = [network.prepare(mean_face) for network in self._networks]
        return any(used)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → the members' outputs, and the mean of their points."""
        parts = [
            network(F.avg_pool2d(images.float(), factor) if factor > 1 else images)
            for network, factor in zip(self._networks, self.factors, strict=True)
        ]
        mean = self._mean(parts, None)
        maps = {"confidence": [mean.confidence]}
        return ModelOutput(points=[mean.points], maps=maps, features=parts[0].features, parts=parts)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Average the members' points and confidence; each member reads its own output by ``method``."""
        if method is None:
            return self.decode_points(output, output.maps["confidence"][-1])
        return self._mean(output.parts, self.check_method(method))

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return a coordinate loss on the mean points: members are trained alone, and only fine-tuned together."""
        return {"coord": {"kind": "coord"}}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the members' parameters by their groups' names."""
        groups: dict[str, list[nn.Parameter]] = {}
        for network in self._networks:
            for key, parameters in network.parameter_groups().items():
                groups.setdefault(key, []).extend(parameters)
        return groups

    def export_notes(self) -> str:
        """Return the first reason of a member."""
        return next((note for note in (network.export_notes() for network in self._networks) if note), "")

    def graph(self, method: str | None = None) -> nn.Module:
        """Return the members' own graphs, averaged."""
        name = self.check_method(method) or None
        return _Graph([network.graph(name) for network in self._networks], self.factors)

    def _mean(self, parts: Sequence[ModelOutput], method: str | None) -> Prediction:
        found = [network.decode(part, method) for network, part in zip(self._networks, parts, strict=True)]
        points = [_enlarged(one.points, factor) for one, factor in zip(found, self.factors, strict=True)]
        return Prediction(
            points=torch.stack(points).mean(0), confidence=torch.stack([one.confidence for one in found]).mean(0)
        )


class _Graph(nn.Module):
    def __init__(self, graphs: Sequence[nn.Module], factors: Sequence[int]) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(graphs)
        self.factors = tuple(factors)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 ``(N, 3, S, S)`` → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)``."""
        points, confidence = [], []
        for graph, factor in zip(self.graphs, self.factors, strict=True):
            xy, sure = graph(F.avg_pool2d(crops.float(), factor) if factor > 1 else crops)
            points.append(_enlarged(xy, factor))
            confidence.append(sure)
        return torch.stack(points).mean(0), torch.stack(confidence).mean(0)


def _enlarged(points: Tensor, factor: int) -> Tensor:
    """Return points of a crop that was averaged down by ``factor``, in pixels of the whole crop."""
    return points if factor == 1 else (points + 0.5) * factor - 0.5


def member_state(state: Mapping[str, Tensor], members: Sequence[Mapping[str, Any]], name: str) -> dict[str, Tensor]:
    """Return the tensors of the first member that is a ``name``, of the first of all where there is none, under their own names."""
    place = next((i for i, member in enumerate(members) if member.get("model") == name), 0)
    prefix = f"members.{place}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
