from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fiducia.augment.jitter import coarse, colour
from fiducia.augment.registry import Image, Points, augmentations, extras
from fiducia.errors import UsageError
from fiducia.recipes.sections import ExtraConfig


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_colour_is_one_gain_a_channel_and_one_lift_and_leaves_points() -> None:
    image, xy = np.full((8, 8, 3), 100, np.uint8), np.ones((5, 2), np.float32)
    gains = []
    for seed in range(200):
        changed, same = colour(image, xy, np.random.default_rng(seed), gain=0.2, lift=0.1)
        assert same is xy
        assert (changed == changed[0, 0]).all()
        gains.append(changed[0, 0].astype(float))
    spread = np.array(gains)
    # 100 * (1 +- 0.2) +- 25.5
    assert spread.min() >= 54
    assert spread.max() <= 146
    assert spread.std() > 10
    assert np.corrcoef(spread[:, 0], spread[:, 1])[0, 1] < 0.95
    assert image[0, 0, 0] == 100


def test_coarse_takes_detail_and_moves_nothing() -> None:
    image = picture()
    changed, _ = coarse(image, np.zeros((1, 2), np.float32), np.random.default_rng(3), least=0.4)
    assert changed.shape == image.shape
    assert np.diff(changed.astype(float), axis=1).std() < 0.6 * np.diff(image.astype(float), axis=1).std()
    # A ramp keeps its place: no shift by a part of a pixel.
    ramp = np.repeat(np.linspace(20, 220, 32)[None, :, None], 32, 0).repeat(3, 2).astype(np.uint8)
    for seed in range(5):
        again, _ = coarse(ramp, np.zeros((1, 2), np.float32), np.random.default_rng(seed))
        assert abs(float((again.astype(float) - ramp)[8:24, 8:24].mean())) < 0.7


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "colour", "gain": "much"}, "augment.extra[0].gain: Input should be a valid number; found 'much'"),
        ({"kind": "coarse", "least": -0.5}, "augment.extra[0].least: Input should be greater than or equal to 0"),
        ({"kind": "coarse", "least": float("nan")}, "augment.extra[0].least: Input should be "),
        ({"kind": "coarse", "lest": 0.5}, "augment.extra[0].lest: 'coarse' has no such option; did you mean 'least'"),
        ({"kind": "stripes_of_a_test"}, "augment.extra[0]: 'stripes_of_a_test' needs the option width; give it"),
    ],
)
def test_options_are_held_to_their_types_before_a_run_starts(
    options: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stripes(image: Image, xy: Points, rng: np.random.Generator, *, width: int) -> tuple[Image, Points]:
        return image, xy

    monkeypatch.setitem(augmentations._items, "stripes_of_a_test", stripes)
    with pytest.raises(UsageError) as caught:
        extras([ExtraConfig.model_validate(options)])
    assert str(caught.value).startswith(says)
    extras([ExtraConfig.model_validate({"kind": "colour", "gain": 0, "lift": 0.2})])
