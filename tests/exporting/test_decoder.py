"""A graph with another decoder than the model card's has no calibration: its confidence is another."""

from __future__ import annotations

import pytest

from fiducia.exporting.decoder import with_decoder
from fiducia.weights.store import load_weights


@pytest.mark.parametrize(("method", "built", "kept"), [(None, "expectation", True), ("argmax", "argmax", False)])
def test_a_calibration_goes_with_its_decoder(method: str | None, built: str, kept: bool) -> None:
    model, card = load_weights("fifa_tiny")
    assert card.calibration is not None
    done = with_decoder(model, card, method)
    assert done.decode == built
    assert (done.calibration is not None) == kept
