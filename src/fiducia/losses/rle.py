"""Residual log-likelihood estimation: the distribution of the errors is learned with a flow (Li et al., ICCV 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..structures import ModelOutput
from .base import LossContext, Term
from .likelihood import example_sigma, residuals, sigma_stages
from .registry import register
from .stages import Stages, check_stages, stage_mean
from .targets import Targets

__all__ = ["RLE", "Flow"]


class Flow(nn.Module):
    """A RealNVP (Dinh et al., 2017) in the plane: an invertible map to a standard Gaussian, hence a density.

    Coupling layers take turns: one coordinate is kept, the other becomes ``v * exp(s(u)) + t(u)``, with s and t of a small
    network of the kept coordinate u and s in (-1, 1). It starts as the identity.

    Args:
        layers: coupling layers.
        width: of the two hidden layers of each network.
    """

    def __init__(self, layers: int = 6, width: int = 64) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Linear(1, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, 2)
            )
            for _ in range(layers)
        )
        for net in self.nets:
            assert isinstance(net, nn.Sequential)
            nn.init.zeros_(net[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(net[-1].bias)  # type: ignore[arg-type]

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density ``(M,)`` of points ``(M, 2)``: of the Gaussian there, plus the log-determinant of the map."""
        log_det = torch.zeros_like(x[:, 0])
        for number, net in enumerate(self.nets):
            kept, moved = number % 2, 1 - number % 2
            s, t = net(x[:, kept : kept + 1]).unbind(-1)
            s = torch.tanh(s)
            changed = x[:, moved] * torch.exp(s) + t
            x = torch.stack([x[:, 0], changed] if moved == 1 else [changed, x[:, 1]], dim=-1)
            log_det = log_det + s
        return log_det - 0.5 * x.square().sum(-1) - math.log(2 * math.pi)


@register("rle", needs=("points", "maps.sigma"), example=example_sigma)
class RLE(Term):
    """Negative log-likelihood of the true points under a learned distribution of errors (RLE, Li et al., ICCV 2021).

    With ``r = (truth - mean) / sigma``: ``-ln Q(r) - ln G(r) + sum of ln sigma``. Q is a simple density with mean 0 and
    variance 1 in x and in y; the flow G learns, with the network, what the errors' density has beside it, the same for all
    landmarks. The constant that normalises Q times G is left out. The flow belongs to the loss and is not needed once
    trained. See :func:`~fiducia.losses.likelihood.sigma_stages` for what ``maps.sigma`` holds.

    Args:
        context: what the network gives.
        density: Q: ``laplace`` or ``gaussian``.
        layers: coupling layers of the flow.
        width: of its networks.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        density: str = "laplace",
        layers: int = 6,
        width: int = 64,
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        if density not in ("laplace", "gaussian"):
            raise ValueError(f"rle: density is 'laplace' or 'gaussian'; found {density!r}")
        if layers < 0 or width < 1:
            raise ValueError(f"rle: layers >= 0 and width >= 1; found {layers}, {width}")
        check_stages(stages)
        self.density, self.stages = density, stages
        self.flow = Flow(layers, width)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points in the crop."""

        def one(stage: tuple[Tensor, Tensor]) -> Tensor:
            residual, log_sigma = residuals(*stage, targets)
            if self.density == "laplace":
                simple = math.sqrt(2) * residual.abs() + 0.5 * math.log(2)
            else:
                simple = 0.5 * residual.square() + 0.5 * math.log(2 * math.pi)
            each = (simple + log_sigma).sum(-1) - self.flow.log_density(residual)
            return each.sum() / targets.count(targets.inside, each.dtype)

        return stage_mean(sigma_stages(output), self.stages, one)
