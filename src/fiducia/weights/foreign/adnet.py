"""Checkpoints of ADNet (``stackedHGNetV1.py``)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import FiduciaError
from ...schemes.curves import curves
from ...schemes.sets import get_scheme
from ..converters import Converted, converters, rename
from ..published import SCHEMES, Rule, drop_unused_shortcuts, require, rewrite

__all__ = ["convert_adnet", "published_scheme", "published_state"]

_MAPS = {"feature": "features", "heatmap": "heatmaps", "edgemap": "edges", "pointmap": "points"}
_SIDES = {"up1": "skip", "low1": "before", "low3": "after"}

_RULES: tuple[Rule, ...] = (
    (r"^pre\.0\.conv\.", "coord.conv."),
    (r"^pre\.0\.bn\.", "norm."),
    (r"^pre\.(\d)\.", lambda m: f"stem.{int(m[1]) - 1}."),
    (r"^hgs\.(\d+)\.coordconv\.", r"stacks.\1.coord."),
    (r"^hgs\.(\d+)\.", r"stacks.\1.hourglass."),
    (r"(\.low2)+\.", lambda m: m[0].replace("low2", "inner")),
    (r"\.(up1|low1|low3)\.", lambda m: f".{_SIDES[m[1]]}."),
    (r"^features\.(\d+)\.0\.", r"stacks.\1.block."),
    (r"^features\.(\d+)\.1\.bn\.", r"stacks.\1.norm."),
    (r"^features\.(\d+)\.1\.conv\.", r"stacks.\1.conv."),
    (r"^out_(heatmap|edgemap|pointmap)s\.(\d+)\.conv\.", lambda m: f"stacks.{m[2]}.heads.{_MAPS[m[1]]}."),
    (r"^merge_(feature|heatmap|edgemap|pointmap)s\.(\d+)\.conv\.", lambda m: f"stacks.{m[2]}.merge.{_MAPS[m[1]]}."),
    (r"\.(conv\d)\.conv\.", r".\1."),
    (r"\.skip_layer\.conv\.", ".skip."),
)


@converters.register("adnet")
def convert_adnet(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a published ADNet; shortcuts that it never uses are left out.

    Raises:
        FiduciaError: the tensors are of another network, or its edges are not the published ones.
    """
    num_points = len(require(state, "out_heatmaps.0.conv.bias", "ADNet"))
    return Converted(
        model="adnet",
        num_points=num_points,
        size=256,
        state=published_state(state),
        options={"pixels": {"rule": "published"}},
        scheme=published_scheme(state, num_points, "ADNet"),
        licence="MIT (code); the checkpoints follow the terms of their training data",
        notes="ADNet (Huang et al., ICCV 2021)",
    )


def published_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ADNet or STAR under our names; the fixed table of edges and unused shortcuts are left out."""

    def rule(name: str) -> str | None:
        return None if name.startswith("e2h_transform.") else "network." + rewrite(name, _RULES)

    return rename(drop_unused_shortcuts(state), rule)


def published_scheme(state: Mapping[str, Tensor], num_points: int, what: str) -> str:
    """Return the landmark set whose curves are the checkpoint's edges.

    Raises:
        FiduciaError: there is none, so nothing says what the edge maps mean.
    """
    name = SCHEMES.get(num_points, "")
    edges = curves(get_scheme(name)) if name else ()
    maps = len(require(state, "out_edgemaps.0.conv.bias", what))
    table = state.get("e2h_transform.weight", state.get("module.e2h_transform.weight"))
    if table is not None and len(edges) == maps:
        expected = torch.zeros(num_points, maps)
        for i, curve in enumerate(edges):
            expected[list(curve.points), i] = 1.0
        fits = torch.equal(table.float().reshape(num_points, maps).cpu(), expected)
    else:
        fits = len(edges) == maps
    if not fits:
        known = ", ".join(f"{k} points" for k in (98, 68, 29))
        raise FiduciaError(
            f"{what}: the edges of this checkpoint ({num_points} points, {maps} edges) are not the published ones; expected {known}"
        )
    return name
