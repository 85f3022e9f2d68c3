"""What every registered thing must keep, whatever its name; networks, losses and decoders have contracts of their own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fiducia.augment.registry import augmentations
from fiducia.data.source import datasets, describe_datasets
from fiducia.detectors.registry import describe_detectors, detectors
from fiducia.errors import UsageError
from fiducia.heatmaps.decode import decoders
from fiducia.losses.registry import losses
from fiducia.models.registry import models
from fiducia.registry import Registry
from fiducia.runtimes.registry import runtimes
from fiducia.schemes.sets import get_scheme, scheme_names
from fiducia.training.optim import schedules
from fiducia.weights.converters import converters

REGISTRIES: list[Registry[Any]] = [
    models,
    losses,
    datasets,
    detectors,
    decoders,
    runtimes,
    schedules,
    augmentations,
    converters,
]
of_each_kind = pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)


@pytest.mark.parametrize("name", scheme_names())
def test_a_scheme_mirrors_onto_itself_and_covers_its_points(name: str) -> None:
    scheme = get_scheme(name)
    mirror = np.array(scheme.mirror)
    assert (mirror[mirror] == np.arange(scheme.num_points)).all()
    assert sorted(mirror) == list(range(scheme.num_points))
    assert len(set(scheme.names)) == scheme.num_points
    covered = {i for region in scheme.regions.values() for i in region}
    assert covered == set(range(scheme.num_points))


@of_each_kind
def test_a_miss_is_one_line_that_names_the_nearest(registry: Registry[Any]) -> None:
    names = list(registry)
    assert names == sorted(set(names))
    with pytest.raises(UsageError, match=f"here: no {registry.kind} is called 'nothing at all'") as caught:
        registry.get("nothing at all", "here: ")
    assert "\n" not in str(caught.value)
    assert "nothing at all" not in registry
    if names:
        with pytest.raises(UsageError, match="did you mean"):
            registry.get(f"{names[0]}x")


@of_each_kind
def test_a_name_is_taken_once(registry: Registry[Any]) -> None:
    for name in registry:
        with pytest.raises(UsageError, match=f"the {registry.kind} {name!r} is registered twice"):
            registry.add(name, registry[name])


def test_what_can_be_listed_can_be_read_by_a_machine() -> None:
    for rows, registry in ((describe_datasets(), datasets), (describe_detectors(), detectors)):
        assert json.loads(json.dumps(rows)) == rows
        assert {row["name"].partition(":")[0] for row in rows} <= {n.partition(":")[0] for n in registry} | {
            "auto",
            "FILE.json",
        }
