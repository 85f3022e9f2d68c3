"""The objective: heatmaps, coordinates and the similarity of the two views, as one weighted sum of named terms (Sect. 3.1-3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import HeatmapConfig, LossConfig
from ..heatmaps import decoders, encode
from ..registry import did_you_mean
from ..structures import Batch, ModelOutput, UsageError
from .pooling import global_count, pool_at_landmarks
from .reading import weigh_and_read
from .regression import coord_losses
from .similarity import Views, similarities

__all__ = ["Objective"]


class Objective(nn.Module):
    """L = heatmap BCE + coordinate loss (both views, averaged) + weight x similarity.

    Which points a term sees: the heatmaps all that are labelled, since a point beyond the crop has an empty map; the
    coordinates those between the centres of the border cells, as no expectation reaches further; the similarity those whose
    peak lies on the map in both views. Sums are divided by the count over all processes.

    Args:
        loss: weights and choices.
        heatmap: targets and decoding.
        num_points: K.
        feature_channels: C of the network's features.
        stride: crop pixels a heatmap cell.
        size: side of the crop in pixels.

    Raises:
        UsageError: an unknown loss or decoder.
    """

    def __init__(
        self,
        loss: LossConfig,
        heatmap: HeatmapConfig,
        *,
        num_points: int,
        feature_channels: int,
        stride: int,
        size: int,
    ) -> None:
        super().__init__()
        if loss.coord_loss not in coord_losses:
            raise UsageError(
                f"loss.coord_loss: {loss.coord_loss!r} is unknown{did_you_mean(loss.coord_loss, list(coord_losses))}"
            )
        if loss.similarity != "none" and loss.similarity not in similarities:
            known = ["none", *similarities]
            raise UsageError(f"loss.similarity: {loss.similarity!r} is unknown{did_you_mean(loss.similarity, known)}")
        if heatmap.decode not in decoders:
            raise UsageError(
                f"heatmap.decode: {heatmap.decode!r} is unknown{did_you_mean(heatmap.decode, list(decoders))}"
            )
        self.loss, self.heatmap = loss, heatmap
        self.num_points, self.stride, self.size = num_points, stride, size
        learned = loss.similarity.startswith("dcca")
        self.projection = nn.Linear(feature_channels, loss.dcca_dim, bias=False) if learned else None

    def forward(self, output: ModelOutput, xy: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh a network's answer against the truth.

        Args:
            output: for ``B * V`` crops, ordered ``b * V + v``.
            xy: ``(B, V, K, 2)`` crop pixels; nan = not labelled.
            mask: bool ``(B, V, K)``: labelled and inside the crop.

        Returns:
            the scalar to minimise, and the named terms, unweighted and detached, with ``"total"`` among them.
        """
        terms = self.terms(output, xy, mask)
        weights = self.weights()
        total = torch.stack([weights[name] * value for name, value in terms.items() if name in weights]).sum()
        return total, {**{name: value.detach() for name, value in terms.items()}, "total": total.detach()}

    def weights(self) -> dict[str, float]:
        """Return the weight of every term that is minimised."""
        cfg = self.loss
        return {
            "heatmap": cfg.heatmap,
            "coord": cfg.coord,
            "similarity": cfg.similarity_weight,
            "aux": cfg.aux_weight,
        }

    def terms(self, output: ModelOutput, xy: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return every term by name, unweighted, with its gradient; arguments as in :meth:`forward`."""
        views = xy.shape[1]
        cells = self._cells(output, xy)
        supervised = torch.ones(views, dtype=torch.bool, device=xy.device)
        if views == 2 and self.loss.supervise == "second":
            supervised[0] = False
        reached = mask & supervised[:, None]
        terms: dict[str, Tensor] = {}
        target = None
        if output.logits is not None:
            h, w = output.logits.shape[-2:]
            edge = torch.tensor([w - 1, h - 1], device=xy.device)
            reached = reached & ((cells >= 0) & (cells <= edge)).all(-1)
            target = encode(
                cells.flatten(0, 1),
                (h, w),
                sigma=self.heatmap.sigma,
                radius=self.heatmap.radius,
                quantize=self.heatmap.quantize_centers,
                norm=self.heatmap.heatmap_norm,
            )
            seen = (torch.isfinite(xy).all(-1) & supervised[:, None]).flatten(0, 1)
            entropy, read = weigh_and_read(output.logits, target)
            terms["heatmap"] = self._mean(entropy, seen)
            predicted = (read + 0.5) / torch.tensor([w, h], device=read.device)
            if output.settle is not None:
                # Equal from pixels and from shares of the side: it commutes with scaling and shifting.
                predicted = output.settle(predicted)
            if output.aux.get("logits") and self.loss.aux_weight > 0:
                terms["aux"] = torch.stack(
                    [self._mean(weigh_and_read(one, target)[0], seen) for one in output.aux["logits"]]
                ).mean()
        else:
            assert output.points is not None
            predicted = (output.points + 0.5) / self.size
        truth = ((xy + 0.5) / self.size).flatten(0, 1)
        flat = reached.flatten(0, 1)
        error = coord_losses[self.loss.coord_loss](predicted[flat], truth[flat])
        terms["coord"] = error.sum() / global_count(flat.sum().to(error.dtype))
        if views == 2 and self.loss.similarity != "none":
            terms |= self._similarity(output, cells, mask, target)
        return terms

    def gradient_shares(self, model: nn.Module, batch: Batch) -> dict[str, float]:
        """Return each weighted term's share of the gradient's norm over the network's parameters, summing to 1."""
        training = model.training
        model.eval()  # so that looking changes no running statistics
        try:
            with torch.enable_grad():
                terms = self.terms(model(batch.images.flatten(0, 1)), batch.xy, batch.mask)
                parameters = [p for p in model.parameters() if p.requires_grad]
                norms: dict[str, float] = {}
                for name, weight in self.weights().items():
                    if name in terms and weight > 0:
                        grads = torch.autograd.grad(
                            weight * terms[name], parameters, retain_graph=True, allow_unused=True
                        )
                        norms[name] = float(torch.stack([g.norm() for g in grads if g is not None]).norm())
        finally:
            model.train(training)
        total = sum(norms.values()) or 1.0
        return {name: norm / total for name, norm in norms.items()}

    def _cells(self, output: ModelOutput, xy: Tensor) -> Tensor:
        """Return the points in cells of the maps; of the features where the network has no heatmaps."""
        grid = output.logits if output.logits is not None else output.features
        stride = self.size / grid.shape[-1]
        return (xy + 0.5) / stride - 0.5

    def _mean(self, each: Tensor, seen: Tensor) -> Tensor:
        """Return the mean over the labelled points of all processes; ``each`` and ``seen`` are ``(B * V, K)``."""
        each = torch.where(seen, each, torch.zeros_like(each))
        return each.sum() / global_count(seen.sum().to(each.dtype))

    def _similarity(self, output: ModelOutput, cells: Tensor, mask: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        batch, points = cells.shape[0], cells.shape[2]
        features = output.features.float()
        if target is None:
            target = encode(cells.flatten(0, 1), (features.shape[-2], features.shape[-1]))
        pooled, on_map = pool_at_landmarks(features, target)
        valid = (mask & on_map.view(batch, 2, points)).all(1)
        pooled = pooled.view(batch, 2, points, -1)
        maps = features.view(batch, 2, *features.shape[1:])
        projected = pooled
        if self.loss.similarity == "dcca_global":
            projected = maps.mean((-2, -1))[:, :, None]
            valid_for = torch.ones(batch, 1, dtype=torch.bool, device=mask.device)
        else:
            valid_for = valid
        if self.projection is not None:
            projected = self.projection(projected)
        return similarities[self.loss.similarity](Views(maps, pooled, projected, valid_for), self.loss)
