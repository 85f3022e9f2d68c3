"""Points as heatmaps and back: targets (eqs 1-2) and decoders."""

from __future__ import annotations

from .decode import decode, decode_maps, decoders, heatmap_decoders, map_spread
from .encode import encode

__all__ = ["decode", "decode_maps", "decoders", "encode", "heatmap_decoders", "map_spread"]
