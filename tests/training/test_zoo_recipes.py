"""Every recipe of the zoo trains the network that it is named after, with parameter groups that its optimiser finds."""

from __future__ import annotations

import math

import pytest
import torch

from fiducia.models import build_model
from fiducia.models.registry import find_preset, is_registered
from fiducia.recipes.files import find_recipe, load_recipe, recipe_names
from fiducia.training.optim import build_optimizer

ZOO = [name for name in recipe_names() if name.startswith("zoo/")]


@pytest.mark.parametrize("name", ZOO)
def test_a_zoo_recipe_builds_its_network_and_its_optimiser(name: str) -> None:
    recipe = load_recipe(name)
    assert is_registered(recipe.model.name)
    if find_preset(recipe.model.name).fixed:
        return  # a member of a family, whose package may be absent
    with torch.device("meta"):
        model = build_model(recipe.model.name, 29, recipe.data.size, options=recipe.model.options)
    optimizer = build_optimizer(model, [], recipe.optim)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize(("name", "degrees", "margin"), [("adnet", 18, 0.1), ("star", 18, 0.1), ("slpt", 15, None)])
def test_uniform_draws_have_the_deviation_of_the_published_normal_ones(
    name: str, degrees: float, margin: float | None
) -> None:
    recipe = load_recipe(f"zoo/{name}")
    draws = recipe.augment
    assert draws.rotation / math.sqrt(3) == pytest.approx(math.radians(degrees), rel=0.02)
    assert draws.shift / math.sqrt(3) == pytest.approx(0.05, rel=0.02)
    if margin is not None:
        assert draws.scale / recipe.data.scale / math.sqrt(3) == pytest.approx(margin, rel=0.02)


@pytest.mark.parametrize(
    ("name", "share"), [("adnet", 0.2), ("star", 0.2), ("slpt", 0.2), ("pipnet_r18", 0.2), ("hih", 0)]
)
def test_as_many_faces_turn_gray_as_published(name: str, share: float) -> None:
    assert load_recipe(f"zoo/{name}").augment.gray == share


@pytest.mark.parametrize("name", ["dtld", "propnet", "dvit", "shfan"])
def test_the_recipe_of_a_reconstruction_says_that_it_is_one(name: str) -> None:
    head = find_recipe(f"zoo/{name}").read_text().partition("[data]")[0]
    assert "reconstruction" in head
    assert ("US 12,430,793 B2" in head) == (name == "dtld")
