"""PIPNet: a coarse score map, offsets inside its cells, and every landmark's word on where its neighbours are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, Options, split_parameters
from .parts.blocks import IMAGENET, Normalize, PreciseConv
from .parts.mean_face import mean_face, nearest_points
from .parts.resnet import ResNetTrunk
from .registry import register

__all__ = ["PIPNet", "PipOptions"]

_STRIDE = 32


class PipOptions(Options):
    """PIPNet's heads.

    Attributes:
        neighbours: how many nearest landmarks each landmark predicts; K - 1 at most.
        mean_face: K pairs (x, y) in fractions of the crop, which tell who is whose neighbour; () = the mean of the training
            faces, and before training a drawn face, see :func:`.parts.mean_face.mean_face`.
        merge: False = the default decoder is ``own``, for a checkpoint whose mean face is not known.
    """

    neighbours: int = 10
    mean_face: tuple[tuple[float, float], ...] = ()
    merge: bool = True


@register(
    "pipnet_r18",
    size=256,
    about="PIPNet with ResNet-18, a grid of scores and offsets (Jin et al., IJCV 2021)",
    test_options={"heads": {"neighbours": 3}},
    test_size=64,
)
class PIPNet(LandmarkModel):
    """PIPNet (Jin, Liao and Shao, "Pixel-in-Pixel Net: Towards Efficient Facial Landmark Detection in the Wild", IJCV 2021).

    Five 1x1 heads on a ResNet at stride 32. For each landmark: scores (linear, the largest marks its cell), the offset from
    that cell's corner, and the offsets of its nearest neighbours from the same corner. Grid coordinate g is crop pixel
    ``g * S / w``, as published. Decoders:

    * ``merged``: the mean of a landmark's own answer and those of all landmarks that have it as a neighbour. As published, the
      lists of answers are repeated until they are as long as the longest, so the first ones count more.
    * ``own``: its own answer alone.

    Who is whose neighbour stands in the weights, as ``neighbours`` int64 ``(K, J)``: weights that are loaded bring their own.

    Args:
        num_points: K, 2 or more.
        size: S, a multiple of 32.
        depth: of the ResNet: 18, 34, 50 or 101.
        heads: see :class:`PipOptions`.
        scheme: the landmark set, for the drawn mean face.

    Raises:
        ValueError: a size that does not divide, or an option out of range.
    """

    neighbours: Tensor
    shares: Tensor

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        depth: int = 18,
        heads: PipOptions = PipOptions(),
        scheme: Scheme | None = None,
    ) -> None:
        super().__init__(num_points, size)
        if size % _STRIDE:
            raise ValueError(f"PIPNet takes crops whose side is a multiple of {_STRIDE}; found {size}")
        if num_points < 2 or heads.neighbours < 1:
            raise ValueError(f"PIPNet needs 2 landmarks and 1 neighbour; found {num_points} and {heads.neighbours}")
        self.decoders = ("merged", "own") if heads.merge else ("own", "merged")
        self.near = min(heads.neighbours, num_points - 1)
        self.normalize = Normalize(IMAGENET)
        self.trunk = ResNetTrunk(depth)
        channels = self.trunk.channels[-1]
        self.score = _head(channels, num_points)
        self.x = _head(channels, num_points)
        self.y = _head(channels, num_points)
        self.nb_x = _head(channels, num_points * self.near)
        self.nb_y = _head(channels, num_points * self.near)
        face = mean_face(num_points, scheme, heads.mean_face)
        self._face_given = bool(heads.mean_face)
        self.register_buffer("neighbours", nearest_points(face, self.near))
        self.register_buffer("shares", _shares(self.neighbours), persistent=False)
        self.register_load_state_dict_post_hook(_share_anew)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` in [0, 255] → maps of S / 32 cells a side.

        ``maps``: ``score``, ``x``, ``y`` ``(B, K, w, w)``; ``nb_x``, ``nb_y`` ``(B, K J, w, w)``, channel ``J i + j`` of
        neighbour j of landmark i; and ``neighbours``, int64 ``(B, J, K)``, which landmarks those are. Features: the trunk's.
        """
        features = self.trunk(self.normalize(images))[-1]
        heads = {"score": self.score, "x": self.x, "y": self.y, "nb_x": self.nb_x, "nb_y": self.nb_y}
        maps = {name: [head(features)] for name, head in heads.items()}
        maps["neighbours"] = [self.neighbours.T.expand(features.shape[0], -1, -1)]
        return ModelOutput(maps=maps, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the points; confidence is the largest score, which is near 1 where the network is sure of the cell."""
        chosen = self.check_method(method)
        score, x, y, nb_x, nb_y = (output.maps[n][-1].float().flatten(2) for n in ("score", "x", "y", "nb_x", "nb_y"))
        side = output.maps["score"][-1].shape[-1]
        cell = score.argmax(-1, keepdim=True)
        corner = torch.stack([cell % side, cell // side], dim=-1).to(score.dtype)
        points = corner[..., 0, :] + torch.cat([x.gather(-1, cell), y.gather(-1, cell)], dim=-1)
        if chosen == "merged":
            where = cell.repeat_interleave(self.near, dim=1)
            offsets = torch.cat([nb_x.gather(-1, where), nb_y.gather(-1, where)], dim=-1)
            told = (corner + offsets.unflatten(1, (-1, self.near))).flatten(1, 2)
            own = (1.0 - self.shares.sum(1, keepdim=True)) * points
            points = own + self.shares @ told
        confidence = score.detach().amax(-1).clamp(0.0, 1.0)
        return Prediction(points=points * (self.size / side), confidence=confidence)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return PIPNet's own loss."""
        return {"pip": {"kind": "pip"}}

    def prepare(self, mean_face: Tensor) -> bool:
        """Take the neighbours of this face, unless the options name another."""
        if not self._face_given:
            self.neighbours = nearest_points(mean_face, self.near).to(self.neighbours.device)
            self.shares = _shares(self.neighbours)
        return True

    def encoder(self) -> nn.Module | None:
        """Return the ResNet, which takes ImageNet weights."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate (``backbone``: the ResNet) and decay, for the optimiser."""
        return split_parameters(self, backbone=("trunk.",))


def _share_anew(model: nn.Module, _: Any) -> None:
    assert isinstance(model, PIPNet)
    model.shares = _shares(model.neighbours)


def _head(channels: int, outputs: int) -> nn.Conv2d:
    # A neighbour may be several cells away: bfloat16 would tell its offset to a pixel.
    head = PreciseConv(channels, outputs, 1)
    nn.init.normal_(head.weight, std=0.001)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


def _shares(neighbours: Tensor) -> Tensor:
    """Return how much each answer on a neighbour counts in the mean for each landmark, float32 ``(K, K J)``.

    Landmark k has n_k answers, in the order of the landmarks that give them. They are repeated in turn until there are as many
    as the longest list has, M; with k's own answer M + 1 are averaged. A landmark that is nobody's neighbour has its own only.
    """
    points = len(neighbours)
    asked = torch.nn.functional.one_hot(neighbours.flatten(), points).T
    count = asked.sum(1, keepdim=True)
    longest = count.max()
    place = asked.cumsum(1) - 1
    times = longest // count.clamp(min=1) + (place < longest % count.clamp(min=1)).long()
    return (asked * times).float() / (longest + 1)
