"""What the tests of single networks share: each check runs one network and says what it must do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fiducia.models.base import LandmarkModel
from networks import crops


def stir(model: nn.Module) -> None:
    """Move every parameter and running statistic a little, so that no zero of the start hides a path."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn(buffer.shape, generator=generator))


def check_points(model: LandmarkModel) -> None:
    """Finite points of the right shape, inside or near the crop; bytes and floats mean the same picture."""
    images = crops(2, model.size)
    model.eval()
    with torch.no_grad():
        prediction = model.decode(model(images))
        floats = model.decode(model(images.float()))
    assert prediction.points.shape == (2, model.num_points, 2)
    assert prediction.confidence.shape == (2, model.num_points)
    assert torch.isfinite(prediction.points).all()
    assert (prediction.confidence >= 0).all()
    assert (prediction.confidence <= 1).all()
    assert (prediction.points > -model.size).all()
    assert (prediction.points < 2 * model.size).all()
    assert torch.equal(prediction.points, floats.points)


def check_batch(model: LandmarkModel) -> None:
    """Two crops in one batch give what each gives alone, at evaluation."""
    stir(model.eval())
    images = crops(2, model.size)
    with torch.no_grad():
        both = model.decode(model(images)).points
        alone = torch.cat([model.decode(model(images[i : i + 1])).points for i in range(2)])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-3)


def check_export(model: LandmarkModel) -> None:
    """``torch.export`` takes crops to points, with the batch size free, and gives the same points."""
    stir(model.eval())
    graph = _Points(model)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(graph, (crops(2, model.size),), dynamic_shapes=({0: batch},))
    images = crops(3, model.size)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), graph(images), rtol=1e-4, atol=1e-3)


def check_gradients(model: LandmarkModel) -> None:
    """Every parameter has an effect on what the network gives: its gradient is not zero everywhere."""
    stir(model)
    model.train()
    output = model(crops(3, model.size))
    outputs = [
        *output.heatmaps,
        *(p / model.size for p in output.points),
        *(m for s in output.maps.values() for m in s),
    ]
    generator = torch.Generator().manual_seed(6)
    total = torch.stack([(t.float() * torch.randn(t.shape, generator=generator)).mean() for t in outputs]).sum()
    total.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert not dead, f"no gradient reaches {dead}"


def check_groups(model: LandmarkModel) -> None:
    """The parameter groups hold every parameter once."""
    grouped = [id(p) for group in model.parameter_groups().values() for p in group]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


class _Points(nn.Module):
    """Crops to points."""

    def __init__(self, model: LandmarkModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, S, S)`` → ``(N, K, 2)``."""
        return self.model.decode(self.model(images)).points
