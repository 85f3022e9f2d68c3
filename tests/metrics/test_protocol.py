"""The stamp: what it holds, and when two figures may be compared."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fiducia.metrics.protocol import MEASUREMENT, Protocol, comparable, normaliser_indices
from fiducia.schemes.sets import get_scheme


def stamp(**changes: Any) -> Protocol:
    values: dict[str, Any] = {
        "data": "300w",
        "split": "full",
        "faces": 689,
        "official": 689,
        "scheme": "ibug68",
        "points": 68,
        "crop_source": "landmarks",
        "crop_scale": 0.8,
        "box": "landmarks",
        "normaliser": normaliser_indices(get_scheme("ibug68")),
        "decode": "expectation",
        "size": 256,
        "weights": "fifa_small",
        "weights_sha256": "ab" * 32,
        "runtime": "torch",
        "fiducia": "0.1.0",
    }
    return Protocol(**{**values, **changes})


def test_other_weights_may_be_compared_and_another_crop_may_not() -> None:
    assert (
        comparable(stamp(), stamp(weights="other", weights_sha256="cd", size=128, decode="dark", runtime="onnx")) == []
    )
    assert comparable(stamp(), stamp(crop_source="detector", detector="dlib")) == [
        "crop_source: 'landmarks' and 'detector'",
        "detector: None and 'dlib'",
    ]


def test_every_field_of_the_measurement_is_watched() -> None:
    for name in MEASUREMENT:
        mine = stamp(selection="last epoch", labels_sha256="ef")
        assert comparable(mine, {**mine.model_dump(mode="json"), name: "changed"}), name


def test_an_epoch_chosen_otherwise_is_refused_where_both_say_how() -> None:
    last, best = stamp(which="ema", selection="last epoch"), stamp(which="best", selection="best on validation")
    assert comparable(last, best) == ["selection: 'last epoch' and 'best on validation'"]
    assert comparable(last, stamp(which="last", selection="last epoch")) == []
    assert comparable(stamp(), best) == []
    older = last.model_dump(mode="json")
    del older["selection"], older["which"]
    assert comparable(older, best) == []
    assert "best on validation, averaged)" in "\n".join(best.words())


def test_other_labels_are_refused_where_both_say_which() -> None:
    assert comparable(stamp(labels_sha256="ab"), stamp(labels_sha256="cd")) == ["labels_sha256: 'ab' and 'cd'"]
    assert comparable(stamp(labels_sha256="ab"), stamp()) == []


def test_a_stamp_read_back_from_json_is_comparable_with_itself() -> None:
    assert comparable(stamp(excluded=("afw/*",)), stamp(excluded=("afw/*",)).model_dump(mode="json")) == []
    assert comparable({}, stamp())


def test_normaliser_indices_are_the_schemes() -> None:
    indices = normaliser_indices(get_scheme("ibug68"))
    assert indices["ic"] == [36, 45]
    assert indices["ip"] == [[36, 37, 38, 39, 40, 41], [42, 43, 44, 45, 46, 47]]
    assert normaliser_indices(get_scheme("cofw29"))["ic"] == [8, 9]


def test_words_name_what_changes_a_number() -> None:
    text = "\n".join(stamp(detector="dlib", crop_source="detector", detector_iou=0.4, second_pass=True).words())
    for part in ("300w", "full", "689", "dlib", "0.8", "second pass", "36 and 45", "abababababab", "expectation"):
        assert part in text
    assert "of the official 689" in "\n".join(stamp(faces=680).words())
    assert "official" not in "\n".join(stamp().words())
    assert "1 face of the official" in "\n".join(stamp(faces=1).words())


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        stamp(colour="red")
