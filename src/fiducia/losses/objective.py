"""The training loss: the weighted sum of a recipe's losses, each logged under its own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..structures import Batch, ModelOutput
from ..words import one_line
from .base import LossContext, Term
from .registry import losses
from .targets import HeatmapTargets, Targets

__all__ = ["LossTable", "Objective", "weight_at"]


class LossTable(Protocol):
    """One ``[loss.NAME]`` table of a recipe."""

    @property
    def kind(self) -> str:
        """The registered loss."""
        ...

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        ...

    @property
    def schedule(self) -> Sequence[tuple[float, float]]:
        """Pairs of (epoch, factor on the weight)."""
        ...

    def options(self) -> Mapping[str, Any]:
        """Return the loss's own options."""
        ...


def weight_at(weight: float, schedule: Sequence[tuple[float, float]], epoch: float) -> float:
    """Return a loss's weight after ``epoch`` epochs: ``weight`` times the schedule, linear between its (epoch, factor) pairs."""
    if not schedule:
        return weight
    if epoch <= schedule[0][0]:
        return weight * schedule[0][1]
    for (start, low), (end, high) in pairwise(schedule):
        if epoch < end:
            return weight * (low + (high - low) * (epoch - start) / (end - start))
    return weight * schedule[-1][1]


class Objective(nn.Module):
    """L = the sum of weight x loss over the recipe's ``[loss.NAME]`` tables, those of weight 0 left out.

    Args:
        tables: name → table.
        context: the landmark set, and what the network gives.
        drawing: how target heatmaps are drawn by default.
        supervise: ``both`` or ``second``: which of two views carry the losses of a single view.

    Raises:
        UsageError: an unknown loss or option, a name that no loss can have, or a loss that needs what the network does not
            give; one line, before training.
    """

    def __init__(
        self,
        tables: Mapping[str, LossTable],
        context: LossContext,
        *,
        drawing: HeatmapTargets | None = None,
        supervise: str = "both",
    ) -> None:
        super().__init__()
        self.given = dict(tables)
        self.tables = {name: table for name, table in tables.items() if table.weight != 0}
        if not self.tables:
            raise UsageError("loss: every loss has weight 0; nothing would be learned")
        self.context, self.drawing, self.supervise = context, drawing, supervise
        self.terms = nn.ModuleDict()
        for name, table in self.tables.items():
            if not name or "." in name or name == "total" or hasattr(self.terms, name):
                raise UsageError(f"loss.{name}: a loss cannot be called {one_line(name, 60)!r}; give it another name")
            kind = losses.get(table.kind, f"loss.{name}.kind: ")
            self.terms[name] = kind.build(context, table.options(), f"loss.{name}")

    def forward(
        self, output: ModelOutput, batch: Batch, epoch: float = 0.0, total: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh a network's answer against the truth.

        Args:
            output: for ``B * V`` crops, ordered ``b * V + v``.
            batch: its faces.
            epoch: epochs done, in fractions.
            total: epochs of the run.

        Returns:
            the scalar to minimise, and the named losses, unweighted and detached, with ``"total"`` among them.
        """
        values, weights, targets = self.values(output, batch, epoch, total)
        loss = torch.stack([weights[name] * value for name, value in values.items()]).sum()
        logs = {name: value.detach() for name, value in values.items()}
        return loss, {**logs, **targets.logs, "total": loss.detach()}

    def values(
        self, output: ModelOutput, batch: Batch, epoch: float = 0.0, total: float = 1.0
    ) -> tuple[dict[str, Tensor], dict[str, float], Targets]:
        """Return every loss by name, unweighted, with its gradient; the weights; and the targets. Arguments as :meth:`forward`."""
        targets = Targets(
            batch,
            self.context.scheme,
            self.context.size,
            drawing=self.drawing,
            supervise=self.supervise,
            epoch=epoch,
            total_epochs=total,
        )
        values: dict[str, Tensor] = {}
        for name, term in self.terms.items():
            assert isinstance(term, Term)
            values[name] = term(output, targets)
        weights = {name: weight_at(t.weight, t.schedule, epoch) for name, t in self.tables.items()}
        return values, weights, targets

    def gradient_shares(
        self, model: nn.Module, batch: Batch, epoch: float = 0.0, total: float = 1.0
    ) -> dict[str, float]:
        """Return each weighted loss's share of the gradient's norm over the network's parameters, summing to 1.

        Args:
            model: the network.
            batch: faces.
            epoch: epochs done, which the losses' schedules count by, as in :meth:`forward`.
            total: epochs of the run.
        """
        training = model.training
        model.eval()  # so that looking changes no running statistics
        try:
            with torch.enable_grad():
                values, weights, _ = self.values(model(batch.images.flatten(0, 1)), batch, epoch, total)
                parameters = [p for p in model.parameters() if p.requires_grad]
                norms: dict[str, float] = {}
                for name, value in values.items():
                    grads = torch.autograd.grad(weights[name] * value, parameters, retain_graph=True, allow_unused=True)
                    norms[name] = float(torch.stack([g.norm() for g in grads if g is not None]).norm())
        finally:
            model.train(training)
        total = sum(norms.values()) or 1.0
        return {name: norm / total for name, norm in norms.items()}
