"""The registered networks: what a name stands for, and how one is built. Importing this module imports no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from ..registry import Registry

if TYPE_CHECKING:
    from .base import LandmarkModel

__all__ = ["Preset", "find_preset", "is_family", "is_registered", "keywords", "models", "register"]

Builder = Callable[..., "LandmarkModel"]
B = TypeVar("B", bound=Callable[..., Any])


@dataclass(frozen=True)
class Preset:
    """One registered network.

    Attributes:
        name: the word in a recipe's ``model.name``. One that ends in ":" is a family: see :func:`find_preset`.
        build: a :class:`~fiducia.models.base.LandmarkModel` class, or a function that returns one; called with
            ``(num_points, size, **options)``. Landmark sets are passed as ``scheme=`` where it has that parameter.
        size: side of its usual input in pixels.
        options: keyword options that differ from the builder's own; nested tables for option groups.
        about: one line for ``fiducia list models``; it names the publication, or says "reconstruction".
        renamed: option names of earlier versions → where they are now, such as ``{"width": "backbone.width"}``.
        test_options: laid over ``options``, they give a network of the same kind that the contract tests build in no time.
        test_size: side in pixels for it. Twice that side must do too.
        fixed: options that the name itself gives, for a member of a family.
    """

    name: str
    build: Builder
    size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    test_options: Mapping[str, Any] = field(default_factory=dict)
    test_size: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)


models: Registry[Preset] = Registry("model", "fiducia.models")


def register(
    name: str,
    *,
    size: int,
    about: str = "",
    renamed: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    test_options: Mapping[str, Any] | None = None,
    test_size: int | None = None,
) -> Callable[[B], B]:
    """Return a decorator that registers a network class, or a function that builds one.

    Args:
        name: for recipes and model cards. A name that ends in ":" registers a family: what a recipe writes after the colon
            becomes the builder's first option (:func:`find_preset`).
        size: side of its usual input in pixels.
        about: one line; the first line of the target's docstring where empty.
        renamed: option names of earlier versions.
        options: what differs from the target's own defaults: several presets of one class are several decorators.
        test_options: laid over ``options``, they make the network small: few channels and few layers, but each kind of layer at
            least once. ``tests/contracts`` builds every registered network so, and each of its tests should take about a second.
        test_size: side in pixels of that small network, which must work at twice that side too; None = ``size``.

    Example:
        >>> @register("toy_doc", size=64, about="an example")  # doctest: +SKIP
        ... class Toy(LandmarkModel): ...
    """

    def keep(target: B) -> B:
        line = about or (target.__doc__ or "").strip().partition("\n")[0]
        models.add(
            name,
            Preset(
                name=name,
                build=target,
                size=size,
                options=dict(options or {}),
                about=line,
                renamed=dict(renamed or {}),
                test_options=dict(test_options or {}),
                test_size=test_size or size,
            ),
        )
        return target

    return keep


def is_registered(name: str) -> bool:
    """Return whether a name stands for a network here: it is registered itself, or a member of a registered family."""
    head, colon, member = name.partition(":")
    return bool(member) and head + colon in models if colon else name in models


def is_family(name: str) -> bool:
    """Return whether a registered name stands for a family, such as ``timm:``, and not for one network."""
    return name.endswith(":")


def find_preset(name: str, where: str = "model.name: ") -> Preset:
    """Return the preset of a network's name.

    A family is registered under a name that ends in ":". Where ``timm:`` is one, ``timm:resnet18`` is that preset, with
    ``resnet18`` as the first keyword option of its builder.

    Args:
        name: a registered name, or a family's and the member's.
        where: what asked, for the message.

    Raises:
        UsageError: no such network; or a family's name without a member.
    """
    head, colon, member = name.partition(":")
    family = head + colon
    if not colon or family not in models:
        return models.get(name, where)
    entry = models[family]
    first = keywords(entry)[0]
    if not member:
        raise UsageError(f"{where}{name!r} needs a name behind the colon: the {first} of {entry.about}")
    return replace(entry, name=name, fixed={first: member})


def keywords(entry: Preset) -> list[str]:
    """Return the names of the options that a builder takes, in its own order."""
    parameters = inspect.signature(entry.build).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "scheme"]
