"""Recipes: what a training run is, as a TOML file. Importing this package imports no torch."""

from __future__ import annotations

from .files import dump_recipe, find_recipe, load_recipe, parse_recipe, recipe_names
from .sections import Recipe

__all__ = ["Recipe", "dump_recipe", "find_recipe", "load_recipe", "parse_recipe", "recipe_names"]
