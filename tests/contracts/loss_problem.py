"""Made-up faces and network outputs that any registered loss can be asked about, built from what it says it needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from fiducia.losses import losses
from fiducia.losses.base import LossContext, Term
from fiducia.losses.registry import LossKind
from fiducia.losses.targets import Targets
from fiducia.schemes.sets import scheme_from_table
from fiducia.structures import Batch, ModelOutput

FACES, K, SIZE, SIDE, CHANNELS = 6, 7, 64, 16, 5
SCHEME = scheme_from_table(
    {"points": K, "mirror": [[0, 1], [3, 4]], "edges": [[0, 1, 2], [3, 4, 5, 3]], "inter_ocular": [0, 1]}
)


class AnyTag(Mapping[str, bool]):
    """A face's tags under every name that a loss may ask for."""

    def __init__(self, face: int) -> None:
        self.face = face

    def __getitem__(self, key: str) -> bool:
        return (self.face + len(key)) % 3 == 0

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def variants() -> list[tuple[str, tuple[str, ...]]]:
    """Return every registered loss with every way to meet its needs."""
    choices = {"heatmaps": ["logits", "linear"]}
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in losses:
        ways = [[c for part in need.split("|") for c in choices.get(part, [part])] for need in losses[name].needs]
        found += [(name, way) for way in itertools.product(*ways)]
    return found


@dataclass
class Problem:
    """A loss, the tensors that it is a function of, and the faces.

    ``leaves`` are the network's outputs: two stages each of heatmaps and points, one of other maps, and features.
    """

    kind: LossKind
    way: tuple[str, ...]
    context: LossContext
    term: Term
    leaves: dict[str, Tensor]
    batch: Batch

    def value(self, leaves: Sequence[Tensor] | None = None, batch: Batch | None = None) -> Tensor:
        """Return the loss; its targets are built anew."""
        given = dict(zip(self.leaves, leaves, strict=True)) if leaves is not None else self.leaves
        value = self.term(assemble(given, "linear" in self.way), Targets(batch or self.batch, SCHEME, SIZE))
        assert value.ndim == 0
        return value

    def gradients(
        self, leaves: Sequence[Tensor] | None = None, batch: Batch | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its gradient by each leaf, zero where none reaches it."""
        given = [leaf.detach().clone().requires_grad_() for leaf in (leaves or self.leaves.values())]
        value = self.value(given, batch)
        grads = torch.autograd.grad(value, given, allow_unused=True) if value.requires_grad else [None] * len(given)
        filled = [torch.zeros_like(x) if g is None else g for x, g in zip(given, grads, strict=True)]
        return value.detach(), dict(zip(self.leaves, filled, strict=True))

    def per_point(self) -> list[str]:
        """Return the leaves whose second axis counts landmarks."""
        return [name for name, leaf in self.leaves.items() if leaf.ndim > 2 and leaf.shape[1] == K]


def assemble(leaves: Mapping[str, Tensor], linear: bool) -> ModelOutput:
    """Return a network's output from named tensors."""
    output = ModelOutput(linear=linear)
    for name, leaf in leaves.items():
        kind, _, rest = name.partition(" ")
        if kind in ("heatmaps", "points"):
            getattr(output, kind).append(leaf)
        elif kind == "features":
            output.features = leaf
        else:
            output.maps.setdefault(rest, []).append(leaf)
    return output


def faces(views: int) -> Batch:
    """Return faces in the middle of their crops; one point of the first and one of the last face are not labelled."""
    xy = torch.rand(FACES, 1, K, 2, dtype=torch.float64) * (SIZE - 24) + 12
    xy = xy.expand(FACES, views, K, 2).clone()
    xy[0, :, 2] = torch.nan
    xy[-1, :, 4] = torch.nan
    mask = torch.isfinite(xy).all(-1)
    return Batch(
        images=torch.zeros(FACES, views, 3, SIZE, SIZE, dtype=torch.uint8),
        xy=xy,
        visible=mask.to(torch.int8) * 2,
        mask=mask,
        to_image=torch.eye(2, 3, dtype=torch.float64).expand(FACES, views, 2, 3).clone(),
        mirrored=torch.zeros(FACES, views, dtype=torch.bool),
        index=torch.arange(FACES),
        tags=[AnyTag(i) for i in range(FACES)],
    )


def problem(name: str, way: tuple[str, ...], dtype: torch.dtype = torch.float64) -> Problem:
    """Return a loss and random outputs that meet its needs in one way."""
    torch.manual_seed(7)
    kind = losses[name]
    batch = faces(kind.views)
    crops = FACES * kind.views
    leaves: dict[str, Tensor] = {}
    if {"logits", "linear"} & set(way):
        for stage in range(2):
            noise = torch.rand(crops, K, SIDE, SIDE)
            leaves[f"heatmaps {stage}"] = noise * 0.9 + 0.05 if "linear" in way else 4 * noise - 3
    if "points" in way:
        near = torch.nan_to_num(batch.xy.flatten(0, 1), nan=20.0)
        for stage in range(2):
            leaves[f"points {stage}"] = near + 3 * torch.randn(crops, K, 2)
    if "features" in way:
        leaves["features"] = torch.randn(crops, CHANNELS, 8, 8)
    context = LossContext(
        scheme=SCHEME,
        size=SIZE,
        gives=frozenset({*way, *(["heatmaps"] if {"logits", "linear"} & set(way) else [])}),
        feature_channels=CHANNELS if "features" in way else 0,
        stages=2,
    )
    asked = [need.removeprefix("maps.") for need in way if need.startswith("maps.")]
    if asked:
        if kind.example is None:
            pytest.fail(f"the loss {name!r} needs {way}: give its registration an example of these maps")
        given = kind.example(context, crops)
        leaves |= {f"maps {key}": given[key] for key in asked}
    term = kind.build(context, {}, f"loss.{name}").to(dtype)
    return Problem(kind, way, context, term, {k: v.to(dtype) for k, v in leaves.items()}, batch)


@contextmanager
def detach_once(kept: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``Tensor.detach`` give in every run what it gave in the first.

    What a loss detaches is a constant for its gradient, but not for a finite difference; so it is made one.
    """
    original, calls, first = torch.Tensor.detach, itertools.count(), not kept

    def detach(self: Tensor) -> Tensor:
        if first:
            kept.append(original(self).clone())
            return kept[-1]
        return kept[next(calls)]

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "detach", detach)
        yield
