"""How a head is turned, from its landmarks: the pose that puts an average head's landmarks nearest to them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.synthetic.shape import SELECTIONS, FaceShape, build_head
from ..schemes.sets import Scheme

__all__ = ["average_head", "head_pose"]


def average_head(scheme: Scheme) -> Tensor | None:
    """Return an average head's landmarks, float32 ``(K, 3)``: x right, y down, z towards the viewer; None for an own set."""
    chosen = SELECTIONS.get(scheme.name)
    if chosen is None or len(chosen) != scheme.num_points:
        return None
    return torch.tensor(build_head(FaceShape()).points[list(chosen)], dtype=torch.float32)


def head_pose(xy: Tensor, where: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the turn of heads by weak perspective: the least-squares affine from the head to the picture, made a rotation.

    Args:
        xy: points ``(N, K, 2)`` in pixels, y down.
        where: bool ``(N, K)``: the points to use; others may be nan.
        head: ``(K, 3)`` of :func:`average_head`.

    Returns:
        angles ``(N, 3)`` in radians: yaw (the nose goes right), pitch (down), roll (clockwise); and bool ``(N,)``: six points or
        more were there to fit. Angles of other faces are 0.
    """
    known = where.sum(1) >= 6
    weight = where.to(torch.float64)[..., None]
    count = weight.sum(1, keepdim=True).clamp(min=1.0)
    image = torch.where(where[..., None], xy, torch.zeros_like(xy)).double()
    solid = head.double().to(xy.device).expand(len(xy), -1, -1)
    image = (image - (weight * image).sum(1, keepdim=True) / count) * weight
    solid = (solid - (weight * solid).sum(1, keepdim=True) / count) * weight
    # A little of the identity keeps a face with few points solvable.
    scatter = solid.transpose(1, 2) @ solid + 1e-6 * torch.eye(3, dtype=torch.float64, device=xy.device)
    affine = torch.linalg.solve(scatter, solid.transpose(1, 2) @ image).transpose(1, 2)
    left, _, right = torch.linalg.svd(affine, full_matrices=False)
    across, down = (left @ right).unbind(1)
    toward = torch.linalg.cross(across, down)
    # The inverse of fiducia.data.synthetic's head -> view: roll after pitch after yaw.
    yaw = torch.atan2(-toward[:, 0], toward[:, 2])
    pitch = torch.asin((-toward[:, 1]).clamp(-1.0, 1.0))
    roll = torch.atan2(-across[:, 1], down[:, 1])
    angles = torch.stack([yaw, pitch, roll], dim=1).to(xy.dtype)
    return torch.where(known[:, None], angles, torch.zeros_like(angles)), known
