"""The contract: everything that the rest of the package may ask of a network. It asks nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from ..errors import UsageError
from ..heatmaps.decode import decode_maps
from ..registry import did_you_mean
from ..structures import ModelOutput, Prediction

__all__ = ["CropsToPoints", "LandmarkModel", "Options", "split_parameters"]


class Options(BaseModel):
    """A frozen group of a network's options; an unknown key is an error that names the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class LandmarkModel(nn.Module, ABC):
    """A network from crops to landmarks.

    A subclass writes ``forward``. A network with one final heatmap a landmark needs no ``decode`` of its own; any other
    writes one.

    Args:
        num_points: K.
        size: S, side of the square input in pixels.

    Attributes:
        num_points: K.
        size: S.
        decoders: names that ``decode`` accepts, the published one first; empty where there is nothing to choose.
    """

    decoders: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    """Prefixes of parameters that may start anew where weights to start from lack them; heads for another number of
    landmarks always may."""

    def __init__(self, num_points: int, size: int) -> None:
        super().__init__()
        self.num_points = num_points
        self.size = size

    @abstractmethod
    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float, RGB in [0, 255] → everything that the network gives."""

    @abstractmethod
    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the final points in crop pixels, with confidence, from what :meth:`forward` gave.

        It must be traceable by ``torch.export``: tensor operations only, the batch size free.

        Args:
            output: of this network.
            method: one of :attr:`decoders`; None = the first.

        Raises:
            UsageError: a decoder that this network does not have.
        """

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the loss that the network was published with, as a recipe's ``[loss.NAME]`` tables."""
        raise NotImplementedError(f"{type(self).__name__} names no default loss; give [loss.NAME] in the recipe")

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return all parameters by name of group. A recipe gives groups their rate and decay by these names."""
        return split_parameters(self)

    def prepare(self, mean_face: Tensor) -> bool:
        """Take the mean of the training faces, for a network that starts from it or needs to know which landmarks are near.

        Training calls it once on a new network; a converter calls it with the mean face of a published checkpoint.

        Args:
            mean_face: ``(K, 2)`` fractions of the crop's side: f is crop pixel ``f * S``.

        Returns:
            whether the network uses a mean face. Most do not.
        """
        return False

    def encoder(self) -> nn.Module | None:
        """Return the part that takes pre-trained weights of an encoder alone, or None."""
        return None

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a relative of this network, fitted to this one as far as its kind allows.

        A network overrides it where it can start from a smaller or leaner one's weights.
        """
        return dict(state)

    def export_notes(self) -> str:
        """Return why the network cannot be written as a graph; an empty string where it can."""
        return ""

    def graph(self, method: str | None = None) -> nn.Module:
        """Return what an exporter writes: a module from uint8 crops to points ``(N, K, 2)`` and confidence ``(N, K)``.

        A network may return a faster form of the same; its weights are those that this network has now.
        """
        return CropsToPoints(self, self.check_method(method) or None)

    def check_method(self, method: str | None) -> str:
        """Return the decoder to use.

        Raises:
            UsageError: this network does not have it.
        """
        if method is None:
            return self.decoders[0] if self.decoders else ""
        if method not in self.decoders:
            if not self.decoders:
                raise UsageError(
                    f"decoder {method!r}: this network gives points, not heatmaps; there is nothing to choose"
                )
            raise UsageError(f"decoder {method!r}: this network has none{did_you_mean(method, list(self.decoders))}")
        return method

    def decode_heatmaps(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Decode the final heatmaps, by a registered decoder: all that a plain heatmap network's ``decode`` has to do.

        Confidence is the largest value of the map, in [0, 1]; ``spread`` is the covariance of the map's mass.
        """
        maps, name = output.heatmaps[-1], self.check_method(method)
        return decode_maps(maps, name, size=self.size, linear=output.linear, spread=True)

    def decode_points(self, output: ModelOutput, confidence: Tensor | None = None) -> Prediction:
        """Return the final points as they are; confidence is 1 where none is given."""
        points = output.points[-1].float()
        if confidence is None:
            confidence = torch.ones_like(points[..., 0])
        return Prediction(points=points, confidence=confidence.float().clamp(0.0, 1.0))


class CropsToPoints(nn.Module):
    """A network and its decoder in one module, with plain tensors at both ends."""

    def __init__(self, model: LandmarkModel, method: str | None = None) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 ``(N, 3, S, S)`` RGB → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        prediction = self.model.decode(self.model(crops), self.method)
        return prediction.points, prediction.confidence


def split_parameters(
    model: nn.Module,
    backbone: Iterable[str] = (),
    free: Iterable[nn.Parameter] = (),
    depth: Callable[[str], int] | None = None,
) -> dict[str, list[nn.Parameter]]:
    """Split a network's parameters into ``backbone``, ``backbone_no_decay``, ``rest`` and ``rest_no_decay``.

    Without decay: vectors (norms, biases, gates), position embeddings and class tokens, and those in ``free``.

    Args:
        model: the network.
        backbone: prefixes of parameter names that belong to the backbone.
        free: more parameters that decay would harm, such as FF-Parser filters, which it would pull from the identity to zero.
        depth: name of a backbone parameter → its block, from 0; the backbone's groups are then named ``backbone@3`` and so on,
            which is what ``optim.layer_decay`` counts by.
    """
    prefixes = tuple(backbone)
    kept = {id(parameter) for parameter in free}
    groups: dict[str, list[nn.Parameter]] = {"backbone": [], "backbone_no_decay": [], "rest": [], "rest_no_decay": []}
    for name, parameter in model.named_parameters():
        leaf = name.rpartition(".")[2]
        bare = parameter.squeeze().ndim < 2 or leaf in ("pos_embed", "cls_token") or id(parameter) in kept
        inside = bool(prefixes) and name.startswith(prefixes)
        group = ("backbone" if inside else "rest") + ("_no_decay" if bare else "")
        if inside and depth is not None:
            group += f"@{depth(name)}"
        groups.setdefault(group, []).append(parameter)
    return {name: parameters for name, parameters in groups.items() if parameters or "@" not in name}
