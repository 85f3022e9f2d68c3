"""The heatmap decoders that networks accept, described for ``fiducia list decoders``."""

from __future__ import annotations

from ..heatmaps.decode import decoders

__all__ = ["describe_decoders"]


def describe_decoders() -> list[dict[str, str]]:
    """Return one row for each registered decoder: ``name`` and ``what``, the first line of its description."""
    return [{"name": name, "what": (decoders[name].read.__doc__ or "").strip().partition("\n")[0]} for name in decoders]
