"""Landmark sets: names, regions, mirror pairs, edges and normalisers; conversions; own sets from TOML."""

from __future__ import annotations

from .sets import Scheme, SchemeError, convert, get_scheme, scheme_names

__all__ = ["Scheme", "SchemeError", "convert", "get_scheme", "scheme_names"]
