"""The model card of a graph that has its decoder built in."""

from __future__ import annotations

from ..models.base import LandmarkModel
from ..weights.card import WeightCard

__all__ = ["with_decoder"]


def with_decoder(model: LandmarkModel, card: WeightCard, method: str | None = None) -> WeightCard:
    """Return the card with the decoder that the graph has built in, by name; None where the network gives points.

    A calibration is of the confidence that the card's own decoder gives; with another one the card has none.
    """
    own = model.check_method(card.decode) or None
    built = model.check_method(method or card.decode) or None
    return card.model_copy(update={"decode": built, **({} if built == own else {"calibration": None})})
