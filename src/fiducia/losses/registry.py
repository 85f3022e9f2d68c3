"""The registered losses. A recipe names them as ``kind`` in its ``[loss.NAME]`` tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from ..option_types import mistyped
from ..registry import Registry, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from .base import LossContext, Term

__all__ = ["LossKind", "losses", "register"]

L = TypeVar("L", bound=Callable[..., Any])

Example = Callable[["LossContext", int], Mapping[str, "Tensor"]]


@dataclass(frozen=True)
class LossKind:
    """One registered loss.

    Attributes:
        name: the ``kind`` in a recipe.
        target: a :class:`~fiducia.losses.base.Term` class, built with ``(context, **options)``; or a function of
            ``(output, targets, **options)`` that returns a scalar.
        needs: what the network must give, in the words of :meth:`fiducia.structures.ModelOutput.gives`; ``"points|heatmaps"``
            is met by either.
        views: how many views of a face it compares: 1, or 2.
        about: one line for ``fiducia list losses``.
        example: for the contract tests: from a context and a number of crops N to the network's named maps, as the loss needs
            them; None where it needs none.
    """

    name: str
    target: Callable[..., Any]
    needs: tuple[str, ...]
    views: int
    about: str
    example: Example | None = None

    def options(self) -> dict[str, Any]:
        """Return the options that a recipe may set, with their defaults."""
        parameters = inspect.signature(self.target).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def missing(self, gives: Iterable[str]) -> list[str]:
        """Return which needs a network that gives ``gives`` does not meet."""
        there = set(gives)
        return [need for need in self.needs if not there & set(need.split("|"))]

    def build(self, context: LossContext, options: Mapping[str, Any], where: str) -> Term:
        """Build the term.

        Raises:
            UsageError: an unknown option, a value of a wrong type or out of range, intermediate stages of a network that has
                one stage, or a network that does not give what the loss needs.
        """
        from .base import FunctionTerm

        known = list(self.options())
        for key in options:
            if key not in known:
                raise UsageError(f"{where}.{key}: the loss {self.name!r} has no such option{did_you_mean(key, known)}")
        lacking = self.missing(context.gives)
        if lacking:
            raise UsageError(
                f"{where}: the loss {self.name!r} needs {' and '.join(n.replace('|', ' or ') for n in lacking)}, which the "
                f"network does not give (it gives {', '.join(sorted(context.gives))}); choose another kind"
            )
        if options.get("stages") == "intermediate" and context.stages < 2:
            raise UsageError(
                f"{where}.stages: the network has one stage, so none is intermediate and the loss would be 0; build it with more "
                "(FiFANet: model.options.head.aux = true), or leave this loss out"
            )
        make: Callable[..., Term] = self.target
        # The loss's own words first, where it has any for the value.
        wrong = mistyped(self.target, options)
        try:
            built = make(context, **options) if isinstance(self.target, type) else FunctionTerm(self.target, options)
        except UsageError as error:
            # Of a name within an option, such as "distance: no distance is called ...".
            raise UsageError(f"{where}.{error}") from error
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error
        except TypeError as error:
            raise UsageError(f"{where}.{wrong}" if wrong else f"{where}: {error}") from error
        if wrong:
            raise UsageError(f"{where}.{wrong}")
        return built


losses: Registry[LossKind] = Registry("loss", "fiducia.losses")


def register(
    name: str, *, needs: Iterable[str], views: int = 1, about: str = "", example: Example | None = None
) -> Callable[[L], L]:
    """Return a decorator that registers a loss: a ``Term`` class, or a function ``(output, targets, **options)``.

    Args:
        name: the ``kind`` in a recipe.
        needs: ``"logits"`` or ``"linear"`` heatmaps, ``"heatmaps"`` of either kind, ``"points"``, ``"features"``, ``"maps.NAME"``;
            alternatives joined by ``|``.
        views: 2 for a loss between the two views of a face.
        about: one line; the first line of the target's docstring where empty.
        example: gives named maps for the contract tests, ``(context, crops) -> {"NAME": (crops, ...)}``; required where the loss
            needs ``maps.NAME``.
    """

    def keep(target: L) -> L:
        line = about or (target.__doc__ or "").strip().partition("\n")[0]
        losses.add(name, LossKind(name, target, tuple(needs), views, line, example))
        return target

    return keep
