"""The model card in a weight file's header: enough to rebuild the network, to use it rightly, and to weigh its numbers."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..calibration.table import Calibration
from ..errors import FiduciaError
from ..models.registry import find_preset
from ..recipes.limits import DEEPEST, LARGEST_OPTION
from ..schemes.sets import Scheme, SchemeError, former_names, get_scheme, is_another, scheme_from_table
from ..words import one_line
from .header import Header

__all__ = ["FORMAT", "WeightCard", "card_in", "card_scheme", "check_card", "parse_card", "parse_json"]

FORMAT = 2
"""What this version writes. Format 1 had flat network options."""

_FORMER = {"committee": "ensemble"}
_LONGEST = 1_000_000
"""Characters of a card's longest text."""


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that does not print")
    return text


Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Word = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
"""A name that stands in messages: one printable line."""


class WeightCard(BaseModel):
    """What a weight file is. Reading one checks all of it before anything is built."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), strict=False)

    format: int = Field(default=FORMAT, ge=1, le=FORMAT, strict=True)
    name: Word
    model: Word
    """The registered network."""
    options: dict[str, Any] = Field(default_factory=dict)
    """All that the network was built with, the preset's own too, so that a later preset cannot break old weights."""
    scheme: Word
    scheme_table: dict[str, Any] = Field(default_factory=dict)
    """The landmark set itself (names, mirror, edges, normaliser), so that own sets need no second file."""
    num_points: int = Field(ge=1, le=10_000, strict=True)
    size: int = Field(ge=8, le=4096, strict=True)
    """Side of the square input crop in pixels."""
    scale: Finite = Field(default=0.8, ge=0.05, le=4.0)
    """The face box's share of the crop's side."""
    box_source: str = Field(default="landmarks", pattern="^(landmarks|dataset)$")
    decode: Word | None = None
    """The decoder to use; None = the network's own first one."""
    flip: bool = False
    """Whether the weights are meant to be run with flip test-time augmentation."""
    mirror_bias: Finite = Field(default=0.0, gt=-0.1, lt=0.1)
    """How far to the right the weights put their points, as their labels did, in sides of the box (``augment.mirror_bias``)."""
    which: Word = "ema"
    """``ema``, ``last`` or ``best`` of the run, ``average`` of several runs, ``ensemble`` of them, or ``converted``."""
    licence: str = "research use only: see the training data"
    training: dict[str, Any] = Field(default_factory=dict)
    """Data, split, exclusions, epochs, seed."""
    numbers: list[dict[str, Any]] = Field(default_factory=list)
    """Rows of data, split, faces, metric, value and the command that measured it."""
    plugins: list[Word] = Field(default_factory=list)
    """Names of the plugin files that register the network."""
    command: str = ""
    date: Word = ""
    notes: str = ""
    calibration: Calibration | None = None
    """What the confidence is worth (``fiducia weights calibrate``); None = not measured."""
    params: int = Field(default=0, ge=0)
    sha256: str = ""
    """Of the file's tensors, computed when it is read; never stored."""

    @field_validator("scheme_table", mode="after")
    @classmethod
    def _present_names(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Give the points of a known landmark set their present names, where the card has those of version 0.1."""
        name, names = table.get("name"), table.get("names")
        old = former_names(name) if isinstance(name, str) else None
        if old is None or names != list(old):
            return table
        known = get_scheme(str(name))
        renamed = {**table, "names": list(known.names)}
        try:
            # What contradicts the known set in another way stays as it is, and is refused below.
            return renamed if is_another(scheme_from_table(renamed)) else known.to_table()
        except SchemeError:
            return renamed

    @model_validator(mode="after")
    def _consistent(self) -> WeightCard:
        """The landmark set's table agrees with its name and with the number of points, and no option is absurd."""
        _check_values(self.options, "options", numbers=True)
        _check_values([self.training, self.numbers, self.licence, self.notes, self.command], "its metadata")
        if self.calibration is not None:
            self.calibration.check_points(self.num_points)
        for i, row in enumerate(self.numbers):
            _check_row(row, f"numbers[{i}]")
        if self.scheme_table:
            try:
                scheme = scheme_from_table(self.scheme_table)
            except SchemeError as error:
                raise ValueError(f"its landmark set contradicts itself: {error}") from error
            if scheme.name != self.scheme:
                raise ValueError(f"it names the landmark set {self.scheme!r}, but its table is that of {scheme.name!r}")
            if is_another(scheme):
                raise ValueError(f"its table of {scheme.name} is not the landmark set of that name")
            if scheme.num_points != self.num_points:
                raise ValueError(f"it gives {self.num_points} points, but its landmark set has {scheme.num_points}")
        return self

    @property
    def network(self) -> str:
        """The registered network, by its present name."""
        return _FORMER.get(self.model, self.model)

    @property
    def networks(self) -> list[str]:
        """Every registered network that the weights need: their own, and an ensemble's members'."""
        members = self.options.get("members")
        inner = [str(m.get("model", "")) for m in members if isinstance(m, dict)] if isinstance(members, list) else []
        return [self.network, *inner]

    def upgraded(self) -> WeightCard:
        """Return the card in this version's form: network options of format 1 become groups, a committee an ensemble."""
        from ..models.build import upgrade_options  # imports torch, which a card alone does not need

        name = self.network
        options = upgrade_options(find_preset(name, f"{self.name}: "), self.options)
        members = options.get("members")
        if isinstance(members, list):
            options["members"] = [_upgraded_member(member) for member in members]
        return self.model_copy(update={"model": name, "options": options, "format": FORMAT})


def _upgraded_member(member: Any) -> dict[str, Any]:
    from ..models.build import upgrade_options

    if not isinstance(member, dict):
        raise FiduciaError(f"a member of an ensemble is a table; its card has {one_line(member, 60)!r}")
    entry = find_preset(str(member.get("model", "")), "a member of an ensemble: ")
    head: dict[str, Any] = {key: member[key] for key in ("model", "size") if key in member}
    return {**head, **upgrade_options(entry, {k: v for k, v in member.items() if k not in head})}


def _check_values(value: Any, where: str, *, numbers: bool = False, depth: int = 0) -> None:
    """Refuse texts that are too long, tables in tables without end, and with ``numbers`` those that no network is made of."""
    if depth > DEEPEST:
        raise ValueError(f"{where} has more than {DEEPEST} tables in one another")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_values(inner, f"{where}.{one_line(key, 40)}"[:200], numbers=numbers, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, where, numbers=numbers, depth=depth + 1)
    elif isinstance(value, str) and len(value) > _LONGEST:
        raise ValueError(f"{where} is a text of {len(value):,} characters")
    elif numbers and isinstance(value, int | float) and not -LARGEST_OPTION <= value <= LARGEST_OPTION:
        raise ValueError(f"{where} is {one_line(value, 30)}; nothing that a network is made of is so large")


def _check_row(row: dict[str, Any], where: str) -> None:
    """Refuse a row of figures with a value of a wrong type."""
    for key in ("data", "split", "metric"):
        if key in row and not (isinstance(row[key], str) and len(row[key]) <= 200 and row[key].isprintable()):
            raise ValueError(f"{where}.{key} is {one_line(row[key], 40)!r}; expected a word")
    for key in ("faces", "value"):
        number = row.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1e12:
            raise ValueError(f"{where}.{key} is {one_line(number, 40)!r}; expected a number that is not negative")


def parse_card(text: str, origin: str) -> WeightCard:
    """Read a card from JSON, and check all of it.

    Args:
        text: as it stands in a file's header.
        origin: the file, for messages.

    Raises:
        FiduciaError: no JSON, a key twice, or a card that cannot be right; one line with the place in it.
    """
    return check_card(parse_json(text, origin), origin)


def parse_json(text: str | bytes, origin: str) -> Any:
    """Return the values of a card's JSON.

    Raises:
        FiduciaError: no JSON, a key twice, or a number that is not finite.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        reason = one_line(error, 120) or type(error).__name__
        raise FiduciaError(f"{origin}: its model card is not JSON ({reason}); get the file again") from error


def check_card(table: Any, origin: str) -> WeightCard:
    """Return a card from plain values, all of it checked.

    Raises:
        FiduciaError: a card that cannot be right; one line with the place in it.
    """
    try:
        return WeightCard.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(one_line(part, 40) for part in first["loc"])
        message = one_line(first["msg"].removeprefix("Value error, "), 300)
        raise FiduciaError(
            f"{origin}: its model card cannot be used: {where + ': ' if where else ''}{message}; get the file again"
        ) from error


def _finite(word: str) -> float:
    if not math.isfinite(float(word)):
        raise ValueError(f"{one_line(word, 30)} is no number to compute with")
    return float(word)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key stands twice in it")
    return table


def card_scheme(card: WeightCard) -> Scheme:
    """Return the landmark set of some weights: the one in their card, or the known one of that name.

    A card with nothing but an unknown name gives bare points without names or lines.

    Raises:
        FiduciaError: the card names a set with another number of points than its network gives.
    """
    try:
        scheme = scheme_from_table(card.scheme_table) if card.scheme_table else get_scheme(card.scheme)
    except SchemeError:
        return scheme_from_table({"name": card.scheme, "points": card.num_points, "mirror": []})
    if scheme.num_points != card.num_points:
        raise FiduciaError(
            f"{card.name}: these weights give {card.num_points} points, but their card says {scheme.name}, which has "
            f"{scheme.num_points}; name weights whose card is their own"
        )
    return scheme


def card_in(header: Header) -> WeightCard:
    """Return the card in a file's header, as it stands there, without the tensors' digest.

    Raises:
        FiduciaError: it has none, or one that contradicts itself.
    """
    if "fiducia" not in header.metadata:
        raise FiduciaError(
            f"{header.path}: safetensors without a model card, so its network and landmarks are unknown; "
            "a bare backbone goes into a recipe's model.backbone_weights"
        )
    return parse_card(header.metadata["fiducia"], str(header.path))
