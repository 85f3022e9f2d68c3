from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fiducia.errors import UsageError
from fiducia.models import LandmarkModel
from fiducia.models.base import split_parameters
from fiducia.models.bounded import without_memory
from fiducia.models.build import build_model
from fiducia.models.registry import models
from fiducia.recipes.sections import OptimConfig
from fiducia.structures import ModelOutput, Prediction
from fiducia.training.ema import EMA
from fiducia.training.optim import build_optimizer, learning_rate_factor, schedules, set_learning_rate


class Toy(LandmarkModel):
    """Two layers, the first a backbone."""

    def __init__(self) -> None:
        super().__init__(1, 8)
        self.backbone = nn.Linear(2, 2)
        self.head = nn.Linear(2, 1)

    def forward(self, images: Tensor) -> ModelOutput:
        """Never called."""
        raise NotImplementedError

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Never called."""
        raise NotImplementedError

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Two matrices, two vectors."""
        groups = split_parameters(self, backbone=("backbone.",))
        groups["rest"], groups["rest_no_decay"] = [self.head.weight], [self.head.bias]
        return groups


class Deep(Toy):
    """A backbone of three blocks that say their depth."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(3)])

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Blocks are groups of their own."""
        blocks = {f"backbone@{i}": [block.weight] for i, block in enumerate(self.blocks, 1)}
        return {**super().parameter_groups(), **blocks}


def rates(model: LandmarkModel, **options: object) -> dict[str, tuple[float, float, int]]:
    projection = nn.Parameter(torch.zeros(3))
    optimizer = build_optimizer(model, [projection], OptimConfig.model_validate(options))
    return {g["name"]: (g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups}


def test_groups_take_their_own_rate_and_decay() -> None:
    seen = rates(Toy(), lr=1e-3, backbone_lr=1e-4, weight_decay=0.05)
    assert seen == {
        "backbone": (1e-4, 0.05, 1),
        "backbone_no_decay": (1e-4, 0.0, 1),
        "rest": (1e-3, 0.05, 1),
        "rest_no_decay": (1e-3, 0.0, 1),
        "objective": (1e-3, 0.05, 1),
    }


def test_everything_decays_where_a_recipe_says_so() -> None:
    assert {decay for _, decay, _ in rates(Toy(), weight_decay=0.05, decay_all=True).values()} == {0.05}


def test_earlier_blocks_of_a_backbone_learn_slower() -> None:
    seen = rates(Deep(), lr=1.0, layer_decay=0.5)
    assert [seen[f"backbone@{i}"][0] for i in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert (seen["backbone"][0], seen["rest"][0]) == (0.125, 1.0)


def test_layer_decay_is_refused_where_no_block_has_a_number() -> None:
    with pytest.raises(UsageError, match=r"optim\.layer_decay = 0\.5: this network does not number the blocks"):
        rates(Toy(), layer_decay=0.5)


def test_farl_numbers_its_blocks_and_keeps_its_groups() -> None:
    with without_memory():
        model = build_model("farl", 5, 64, options=models["farl"].test_options)
    flat = rates(model, lr=1.0)
    assert set(flat) == {"backbone", "backbone_no_decay", "rest", "rest_no_decay", "objective"}
    seen = rates(model, lr=1.0, layer_decay=0.5)
    assert [seen[f"backbone@{i}"][0] for i in (0, 11, 12)] == [0.5**12, 0.5, 1.0]
    order = [id(p) for p in build_optimizer(model, [], OptimConfig()).param_groups[0]["params"]]
    assert order == [id(p) for p in split_parameters(model, backbone=("vit.",))["backbone"]]


def test_the_last_rule_that_matches_a_name_counts() -> None:
    rules = [{"match": "head.*", "lr": 0.5}, {"match": "*.bias", "weight_decay": 0.25}]
    seen = rates(Toy(), lr=1.0, weight_decay=0.125, rules=rules)
    assert seen["head.*"] == (0.5, 0.125, 1)
    assert seen["*.bias"] == (1.0, 0.25, 1)
    assert sum(count for _, _, count in seen.values()) == 5 - 1  # both biases have a group called by the rule
    with pytest.raises(UsageError, match=r"optim\.rules: 'heat\.\*' matches no parameter"):
        rates(Toy(), rules=[{"match": "heat.*"}])


@pytest.mark.parametrize("kind", ["adamw", "Adam", "sgd", "rmsprop", "nadam", "adamax"])
def test_any_optimiser_of_torch_goes_by_its_name(kind: str) -> None:
    model = Toy()
    optimizer = build_optimizer(model, [], OptimConfig(kind=kind, lr=0.1))
    assert type(optimizer).__name__.lower() == kind.lower()
    before = model.head.weight.detach().clone()
    model.head(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.head.weight, before)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "adamww"}, "did you mean 'adamw'"),
        ({"kind": "sgd", "options": {"momentun": 0.9}}, "SGD has no argument 'momentun'; did you mean 'momentum'"),
        ({"options": {"betas": [2.0, 0.9]}}, "AdamW: "),
        ({"options": {"lr": 3}}, "no argument 'lr'"),
    ],
)
def test_a_wrong_optimiser_is_told_in_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        build_optimizer(Toy(), [], OptimConfig.model_validate(options))
    assert "\n" not in str(caught.value)


def test_an_options_value_reaches_the_optimiser() -> None:
    optimizer = build_optimizer(Toy(), [], OptimConfig(kind="sgd", options={"momentum": 0.5, "nesterov": True}))
    assert all((g["momentum"], g["nesterov"]) == (0.5, True) for g in optimizer.param_groups)


@pytest.mark.parametrize("name", list(schedules))
def test_every_schedule_stays_between_zero_and_one_and_a_warm_up_climbs(name: str) -> None:
    cfg = OptimConfig(schedule=name, milestones=(3, 6), warmup=0.1)
    values = [learning_rate_factor(i, 100, cfg, 10) for i in range(100)]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert values[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])


def test_milestones_count_epochs_and_powers_count_the_run() -> None:
    cfg = OptimConfig(schedule="multi_step", milestones=(3, 6), gamma=0.5)
    assert [learning_rate_factor(i, 100, cfg, 10) for i in (0, 29, 30, 59, 60, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    polynomial = OptimConfig(schedule="polynomial", power=2.0)
    assert [learning_rate_factor(i, 100, polynomial) for i in (0, 50)] == [1.0, 0.25]
    assert {learning_rate_factor(i, 100, OptimConfig(schedule="constant")) for i in range(100)} == {1.0}
    cycle = [learning_rate_factor(i, 100, OptimConfig(schedule="one_cycle")) for i in range(100)]
    assert cycle[0] == pytest.approx(0.04)
    assert cycle.index(max(cycle)) == 30
    assert cycle[30] == pytest.approx(1.0)
    assert cycle[99] < 0.01
    with pytest.raises(UsageError, match=r"optim\.schedule: no schedule is called 'cosin'; did you mean 'cosine'"):
        learning_rate_factor(0, 10, OptimConfig(schedule="cosin"))


def test_a_factor_works_on_every_groups_own_rate() -> None:
    optimizer = build_optimizer(Toy(), [], OptimConfig(lr=1.0, backbone_lr=0.1))
    for _ in range(2):  # not on the rate that it set before
        set_learning_rate(optimizer, 0.5)
    assert {g["lr"] for g in optimizer.param_groups} == {0.5, 0.05}


def test_step_schedule_is_farls_drop_at_epoch_200_of_250() -> None:
    cfg = OptimConfig(schedule="step")
    assert learning_rate_factor(199, 250, cfg) == 1.0
    assert learning_rate_factor(200, 250, cfg) == pytest.approx(0.1)


def test_cosine_with_warmup_climbs_to_one_and_ends_near_zero() -> None:
    cfg = OptimConfig(schedule="cosine", warmup=0.1)
    values = [learning_rate_factor(i, 100, cfg) for i in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert values[99] < 1e-3


def test_ema_follows_its_formula_and_copies_integers() -> None:
    model = nn.BatchNorm1d(1)
    ema = EMA(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(3.0)
    model.num_batches_tracked.fill_(7)
    ema.update(model)
    decay = min(0.9, 2 / 11)
    assert ema.tensors["weight"].item() == pytest.approx(1.0 * decay + 3.0 * (1 - decay))
    assert ema.tensors["num_batches_tracked"].item() == 7
