"""Landmark sets: names, regions, mirror pairs, edges and normalisers; conversions; own sets from TOML; bare points."""

from __future__ import annotations

from .sets import Scheme, SchemeError, convert, get_scheme, require_mirror, scheme_names

__all__ = ["Scheme", "SchemeError", "convert", "get_scheme", "require_mirror", "scheme_names"]
