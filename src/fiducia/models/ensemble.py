"""Several trained networks that look at one crop and answer with the mean of their heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recipes.sections import ModelConfig
from ..structures import ModelOutput

__all__ = ["Committee", "member_state"]

_LEAST = 1e-9


class Committee(nn.Module):
    """Networks whose errors differ, averaged: the expectation of the mean heatmap is the mean of their points.

    Every map is brought to the mean mass of all before they are averaged, so that a network which draws wider peaks has no
    larger say (an ensemble in the manner of Lakshminarayanan et al., NeurIPS 2017, of maps instead of classes). A member
    for smaller crops gets the crop averaged down to its side.

    Args:
        num_points: K.
        size: S, side of the input in pixels, a multiple of each member's own.
        members: one table a member: ``model``, its registered name; ``size``, its side; and all its options.
        shape: a :class:`~fiducia.models.shape.ShapeRegressor` behind the decoder of the mean.

    Attributes:
        stride: pixels a heatmap cell.
        feature_channels: C of ``ModelOutput.features``, the first member's.

    Raises:
        ValueError: fewer than two members, sides that do not divide, maps of unlike sides, or a member with a regressor.
        UsageError: a member that cannot be built.
    """

    name = "committee"

    def __init__(
        self, num_points: int, size: int, *, members: Sequence[Mapping[str, Any]] = (), shape: bool = False
    ) -> None:
        super().__init__()
        from .build import build_model  # which knows this class

        if len(members) < 2:
            raise ValueError(f"a committee has two members or more; found {len(members)}")
        self.num_points, self.size = num_points, size
        self.factors: list[int] = []
        networks: list[nn.Module] = []
        for member in members:
            options = {k: v for k, v in member.items() if k not in ("model", "size")}
            name, side = str(member.get("model", "")), int(member.get("size", size))
            if size % side:
                raise ValueError(f"{name} looks at {side} pixels, which do not divide {size}")
            if options.get("shape"):
                raise ValueError(f"{name} brings a shape regressor, which would move points that are averaged as maps")
            networks.append(
                build_model(ModelConfig(name=name, options=options), num_points, side, preset_options=False)
            )
            self.factors.append(size // side)
        self.members = nn.ModuleList(networks)
        strides = {float(m.stride) * f for m, f in zip(networks, self.factors, strict=True)}  # type: ignore[arg-type]
        if len(strides) > 1:
            raise ValueError(
                f"its members' heatmaps have strides of {sorted(strides)} pixels of the crop; expected one"
            )
        self.stride = strides.pop()
        self.feature_channels = int(networks[0].feature_channels)  # type: ignore[arg-type]
        self.shape = ShapeRegressor(num_points) if shape else None

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        outputs = [
            member(F.avg_pool2d(images.float(), factor) if factor > 1 else images)
            for member, factor in zip(self.members, self.factors, strict=True)
        ]
        maps = torch.stack([torch.sigmoid(output.logits.float()) for output in outputs])
        mass = maps.sum((-2, -1), keepdim=True).clamp(min=_LEAST)
        mean = (maps * (mass.mean(0) / mass)).mean(0).clamp(_LEAST, 1 - 1e-6)
        logits = torch.log(mean) - torch.log1p(-mean)
        return ModelOutput(logits=logits, points=None, features=outputs[0].features, settle=self.shape)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the members' parameters by learning rate and decay, for the optimiser."""
        groups: dict[str, list[nn.Parameter]] = {}
        for member in self.members:
            for key, parameters in member.parameter_groups().items():  # type: ignore[operator]
                groups.setdefault(key, []).extend(parameters)
        groups.setdefault("rest", []).extend(self.shape.parameters() if self.shape is not None else [])
        return groups


def member_state(state: Mapping[str, Tensor], members: Sequence[Mapping[str, Any]], name: str) -> dict[str, Tensor]:
    """Return the tensors of the first member that is a ``name``, of the first of all where there is none, under their own names."""
    place = next((i for i, member in enumerate(members) if member.get("model") == name), 0)
    prefix = f"members.{place}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
