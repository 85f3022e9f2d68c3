"""CoordConv: a convolution that also sees where it is (Liu et al., NeurIPS 2018), in the form that AWing, ADNet and STAR use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CoordConv", "with_coordinates"]

THRESHOLD = 0.05
"""A cell of the mask counts from this value on."""


def with_coordinates(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Append coordinate channels to a map.

    The first runs down the rows and the second along the columns, each from -1 at the first cell to 1 at the last one. The
    third is their distance from the middle, divided by its largest value.

    Args:
        x: ``(B, C, h, w)``.
        mask: ``(B, 1, h, w)``; where given, rows and columns follow once more, 0 where the mask is 0.05 or less.

    Returns:
        ``(B, C + 3, h, w)``, or C + 5 with a mask.
    """
    h, w = x.shape[-2:]
    rows = torch.linspace(-1.0, 1.0, h, device=x.device) if h > 1 else torch.zeros(1, device=x.device)
    columns = torch.linspace(-1.0, 1.0, w, device=x.device) if w > 1 else torch.zeros(1, device=x.device)
    down, across = rows[:, None].expand(h, w), columns[None, :].expand(h, w)
    radius = torch.sqrt(down**2 + across**2)
    grid = torch.stack([down, across, radius / radius.amax((-2, -1)).clamp(min=1e-6)]).to(x.dtype)
    grid = grid.expand(x.shape[0], -1, -1, -1)
    if mask is None:
        return torch.cat([x, grid], dim=1)
    return torch.cat([x, grid, grid[:, :2] * (mask > THRESHOLD).to(x.dtype)], dim=1)


class CoordConv(nn.Module):
    """Append the coordinate channels, then convolve, with bias; "same" padding.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel.
        stride: of the convolution.
        masked: it is called with a mask, see :func:`with_coordinates`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, masked: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs + (5 if masked else 3), outputs, kernel, stride, kernel // 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(B, inputs, h, w)``, and a mask ``(B, 1, h, w)`` where it takes one → ``(B, outputs, h / stride, w / stride)``."""
        return self.conv(with_coordinates(x, mask))
