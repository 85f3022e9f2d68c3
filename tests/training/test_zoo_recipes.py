"""Every recipe of the zoo trains the network that it is named after, with parameter groups that its optimiser finds."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["dtld", "propnet", "dvit"])
def test_the_recipe_of_a_reconstruction_says_that_it_is_one(name: str) -> None:
    head = find_recipe(f"zoo/{name}").read_text().partition("[data]")[0]
    assert "reconstruction" in head
    assert ("US 12,430,793 B2" in head) == (name == "dtld")
