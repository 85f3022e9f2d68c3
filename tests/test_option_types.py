"""Values of a wrong type are told in one line, before anything is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import PositiveFloat

from fiducia.errors import UsageError
from fiducia.losses.base import LossContext
from fiducia.losses.registry import losses
from fiducia.models.bounded import without_memory
from fiducia.models.build import build_model
from fiducia.option_types import mistyped
from fiducia.schemes.sets import get_scheme

if TYPE_CHECKING:
    from fiducia.structures import Batch


def part(
    *,
    on: bool = True,
    share: float = 0.5,
    count: int = 3,
    sigma: PositiveFloat | None = None,
    names: Sequence[str] = (),
    sides: tuple[int, ...] = (),
    way: Literal["in", "out"] = "in",
) -> None:
    """Takes options of every kind that a recipe can hold."""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on": False, "share": 1, "count": 2, "sigma": None, "names": ["a"], "sides": [1, 2], "way": "out"}, ""),
        ({"on": "no"}, "on: .*boolean; found 'no'"),
        ({"on": 1}, "on: .*boolean; found 1"),
        ({"share": "half"}, "share: .*number; found 'half'"),
        ({"share": True}, "share: .*number; found True"),
        ({"count": 2.5}, "count: .*integer.*; found 2.5"),
        ({"sigma": 0}, "sigma: .*greater than 0; found 0"),
        ({"names": "blur"}, "names: .*found 'blur'"),
        ({"sides": [1, "x"]}, "sides: .*integer"),
        ({"way": "up"}, "way: .*'in' or 'out'; found 'up'"),
        ({"other": "anything"}, ""),
    ],
)
def test_options_are_held_to_the_types_of_their_keywords(options: dict[str, Any], says: str) -> None:
    found = mistyped(part, options)
    assert re.search(says, found) if says else found == ""


def test_what_a_type_does_not_tell_is_let_through() -> None:
    def hidden(*, batch: Batch, plain: int = 0) -> None:
        """Names a type that only a type checker sees."""

    def bare(*, anything=0) -> None:  # type: ignore[no-untyped-def]
        """Without annotations."""

    assert mistyped(hidden, {"batch": "x", "plain": "x"}) == ""
    assert mistyped(bare, {"anything": "x"}) == ""
    assert mistyped(part, {"names": object()}) == ""


CONTEXT = LossContext(
    scheme=get_scheme("ibug68"),
    size=64,
    gives=frozenset({"heatmaps", "logits", "linear", "points", "features"}),
    feature_channels=4,
)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("bce", {"sigma": 0}, r"loss\.x\.sigma: .*greater than 0; found 0"),
        ("bce", {"sigma": "wide"}, r"loss\.x\.sigma: .*number; found 'wide'"),
        ("bce", {"side": 0}, r"loss\.x\.side: .*greater than 0; found 0"),
        ("bce", {"stages": "last"}, r"loss\.x\.stages: .*'doubling'.*'last'"),
        ("heatmap_mse", {"radius": -1}, r"loss\.x\.radius"),
        ("heatmap_mse", {"stages": 3}, r"loss\.x\.stages: .*found 3"),
        ("fan_mse", {"reach": -1}, r"loss\.x\.reach"),
        ("awing", {"sigma": 0}, r"loss\.x\.sigma"),
        ("awing", {"omega": "x"}, r"loss\.x\.omega: .*number; found 'x'"),
        ("focal_bce", {"radius": 0}, r"loss\.x\.radius"),
        ("pfld", {"attributes": "blur"}, r"loss\.x\.attributes: .*found 'blur'"),
        ("pfld", {"pose": "no"}, r"loss\.x\.pose: .*boolean; found 'no'"),
        ("bce", {"stages": "intermediate"}, r"loss\.x\.stages: the network has one stage.*head\.aux"),
    ],
)
def test_a_loss_refuses_them_when_it_is_built(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        losses[kind].build(CONTEXT, options, "loss.x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("pfld", {"pose": "no"}, r"model\.options\.pose: .*boolean; found 'no'"),
        ("dtld", {"layers": "three"}, r"model\.options\.layers: .*integer; found 'three'"),
        ("dvit", {"skip": "off", "blocks": 1}, r"model\.options\.skip: .*boolean; found 'off'"),
    ],
)
def test_a_network_refuses_them(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says), without_memory():
        build_model(name, 5, 64, options=options)


@pytest.mark.parametrize(("points", "size"), [(0, 64), (-1, 64), (5, 0), (5, -64)])
def test_a_network_of_nothing_is_refused(points: int, size: int) -> None:
    """A size of 0 was the network's usual one, and 0 landmarks a network without an answer."""
    with pytest.raises(UsageError, match=rf"found {points} landmarks and size {size}"), without_memory():
        build_model("pfld", points, size)
