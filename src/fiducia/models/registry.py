"""The registered networks: what a name stands for, and how one is built. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..registry import Registry

if TYPE_CHECKING:
    from .base import LandmarkModel

__all__ = ["Preset", "merge_options", "models", "register"]

Builder = Callable[..., "LandmarkModel"]
B = TypeVar("B", bound=Callable[..., Any])


@dataclass(frozen=True)
class Preset:
    """One registered network.

    Attributes:
        name: the word in a recipe's ``model.name``.
        build: a :class:`~fiducia.models.base.LandmarkModel` class, or a function that returns one; called with
            ``(num_points, size, **options)``. Landmark sets are passed as ``scheme=`` where it has that parameter.
        size: side of its usual input in pixels.
        options: keyword options that differ from the builder's own; nested tables for option groups.
        about: one line for ``fiducia list models``; it names the publication, or says "reconstruction".
        renamed: option names of earlier versions → where they are now, such as ``{"width": "backbone.width"}``.
    """

    name: str
    build: Builder
    size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)


models: Registry[Preset] = Registry("model", "fiducia.models")


def register(
    name: str,
    *,
    size: int,
    about: str = "",
    renamed: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[[B], B]:
    """Return a decorator that registers a network class, or a function that builds one.

    Args:
        name: for recipes and model cards.
        size: side of its usual input in pixels.
        about: one line; the first line of the target's docstring where empty.
        renamed: option names of earlier versions.
        options: what differs from the target's own defaults: several presets of one class are several decorators.

    Example:
        >>> @register("toy_doc", size=64, about="an example")  # doctest: +SKIP
        ... class Toy(LandmarkModel): ...
    """

    def keep(target: B) -> B:
        line = about or (target.__doc__ or "").strip().partition("\n")[0]
        models.add(name, Preset(name, target, size, dict(options or {}), line, dict(renamed or {})))
        return target

    return keep


def merge_options(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, table by table."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge_options(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
