from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fiducia.errors import UsageError
from fiducia.recipes.files import dump_recipe, load_recipe, parse_recipe, recipe_names, table_file
from fiducia.recipes.sections import Recipe
from fiducia.reproduce.rows import SCALES, TABLES
from fiducia.training.run import train
from fiducia.training.setup import completed


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_survives_a_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert load_recipe(write(tmp_path, "again.toml", dump_recipe(recipe))) == recipe


def test_defaults_are_the_papers_where_it_speaks() -> None:
    recipe = Recipe()
    assert (recipe.heatmap.sigma, recipe.heatmap.radius) == (1.5, 5.0)
    assert (recipe.augment.fifa.n, recipe.train.epochs, recipe.train.batch_size) == (5, 250, 20)
    # The losses are those that the network was published with: FiFANet's three, each of weight 1.
    completed_loss = completed(recipe).loss
    assert {name: (table.kind, table.weight) for name, table in completed_loss.items()} == {
        "heatmap": ("bce", 1.0),
        "coord": ("coord", 1.0),
        "similarity": ("dcca", 1.0),
    }


def test_the_literal_recipe_says_every_literal_thing() -> None:
    recipe = load_recipe("paper_literal")
    assert recipe.heatmap.quantize_centers
    assert recipe.heatmap.heatmap_norm == "density"
    assert recipe.heatmap.decode == "argmax"
    assert {name: (table.kind, table.weight) for name, table in completed(recipe).loss.items()} == {
        "heatmap": ("bce", 1.0),
        "coord": ("coord", 1.0),
        "similarity": ("scalar_correlation", 1.0),
    }
    assert recipe.augment.siamese_views == "shared_aug"
    assert (recipe.optim.lr, recipe.optim.backbone_lr) == (1e-4, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train]\nepoch = 3", "unknown key 'train.epoch'; did you mean 'epochs'"),
        ("[trian]\nepochs = 3", "unknown key 'trian'; did you mean 'train'"),
        ("[augment.fifa]\nm = 3", "unknown key 'augment.fifa.m'"),
        ("[train]\nepochs = 'many'", "train.epochs"),
        ("[train]\nepochs = 0", "train.epochs"),
        ("train = 3", "train is a section"),
        ("[loss]\nheatmap = 3.0", 'loss.heatmap is now a table: [loss.heatmap] kind = "bce", weight = 3.0'),
        (
            '[loss]\nsimilarity = "l2"',
            'loss.similarity is now a table: [loss.similarity] kind = "similarity", distance = "l2"',
        ),
        ('[loss]\nsimilarity = "none"', "set loss.similarity.weight = 0"),
        ("[loss]\ncoord_loss = 'wing'", "loss.coord_loss is now loss.coord.distance"),
        ("[loss]\nsimilarity_weight = 0.1", "loss.similarity_weight is now loss.similarity.weight"),
        (
            "[data]\nteacher = 'fifa_small'",
            "data.teacher is gone: labels are changed before training, by 'fiducia data relabel'",
        ),
        ("[data]\nstyle = 'helen'", "data.style is gone"),
        ("[augment]\nelastic = 0.5", "augment.elastic is gone"),
        ("[loss.coord]\nkind = 'coord'\nweight = -1.0", "loss.coord.weight"),
        ("[loss]\nedges = 2", "a loss is a table, [loss.edges]"),
        (
            "[loss.a]\nkind = 'bce'\nschedule = [[5, 1.0], [2, 0.0]]",
            "loss.a.schedule: the epochs of its pairs must rise",
        ),
        ("[train", "not TOML"),
    ],
)
def test_a_bad_recipe_is_told_in_one_line_with_the_file_and_the_cure(text: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad.toml", text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert says in str(caught.value)
    assert "bad.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_tables_recipes_ship_and_no_table_passes_for_a_recipe() -> None:
    shipped = {path.stem for path in table_file("table1.toml").parent.glob("*.toml")}
    assert shipped == {*TABLES, *SCALES, "scales"}
    assert not shipped - {"smoke"} & set(recipe_names())
    with pytest.raises(UsageError, match=r"fiducia reproduce table3"):
        load_recipe("tables/table3")


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'paper_literal'"):
        load_recipe("paper_litteral")


def test_overrides_take_toml_values_bare_words_and_unique_short_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "r.toml", "")
    recipe = load_recipe(
        path,
        ["epochs=7", "loss.coord.distance=wing", "data.exclude=['a*']", "augment.fifa.n=3", "model.options.width=96"],
    )
    assert recipe.train.epochs == 7
    assert recipe.loss["coord"].options() == {"distance": "wing"}
    assert recipe.data.exclude == ("a*",)
    assert recipe.augment.fifa.n == 3
    assert recipe.model.options == {"width": 96}
    assert recipe.name == "r"


def test_a_short_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"scale.*data\.scale and augment\.scale"):
        load_recipe(write(tmp_path, "r.toml", ""), ["scale=1"])


def test_extends_goes_one_level(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", "[train]\nepochs = 9\nbatch_size = 4")
    write(tmp_path, "b.toml", 'extends = "a.toml"\n[train]\nepochs = 2')
    write(tmp_path, "c.toml", 'extends = "b.toml"')
    recipe = load_recipe(tmp_path / "b.toml")
    assert (recipe.train.epochs, recipe.train.batch_size) == (2, 4)
    with pytest.raises(UsageError, match="one level"):
        load_recipe(tmp_path / "c.toml")


@settings(deadline=None, max_examples=40)
@example(epochs=1, lr=1.0, name="face \U0001f600", exclude=["\U00010000/*"])
@given(
    epochs=st.integers(1, 999),
    lr=st.floats(1e-7, 1.0),
    name=st.text(min_size=1, max_size=12).filter(str.isprintable),
    exclude=st.lists(st.text(max_size=8), max_size=3),
)
def test_any_recipe_survives_a_round_trip(epochs: int, lr: float, name: str, exclude: list[str]) -> None:
    import tomllib

    recipe = parse_recipe(
        {"name": name, "train": {"epochs": epochs}, "optim": {"lr": lr}, "data": {"exclude": exclude}}
    )
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe


def test_a_name_that_does_not_print_is_refused() -> None:
    with pytest.raises(UsageError, match="name: expected at most 200 characters that print; found"):
        parse_recipe({"name": "a\x7f"})


def test_a_bad_value_is_blamed_on_the_setting_that_brings_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[train]\nepochs = 3\n")
    with pytest.raises(UsageError, match=r"^--set optim\.lr=fast: optim\.lr: .* found 'fast'"):
        load_recipe(path, ["train.epochs=5", "optim.lr=fast", "train.seed=1"])
    with pytest.raises(UsageError, match=r"^--set traim\.epochs=3: .*did you mean 'train'"):
        load_recipe(path, ["traim.epochs=3"])
    path.write_text("[train]\nepochs = -3\n")
    with pytest.raises(UsageError, match=r"mine\.toml: train\.epochs: "):
        load_recipe(path, ["train.seed=1"])
    # A later setting may mend what the file or an earlier one broke.
    assert load_recipe(path, ["train.epochs=-1", "train.epochs=2"]).train.epochs == 2


def test_a_bare_key_that_is_misspelt_names_the_nearest_of_all_sections() -> None:
    with pytest.raises(UsageError, match=r"^--set epoch=3: unknown key 'epoch'; did you mean 'epochs'\?$"):
        load_recipe("smoke", ["epoch=3"])
    with pytest.raises(UsageError, match=r"unknown key 'sigme'; did you mean 'sigma'"):
        load_recipe("smoke", ["sigme=3"])


RUN = '[data]\nsource = "synthetic:4"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[loss.edges]\nweight = 2.0", "loss.edges: has no kind; "),
        ("[loss.heatmap]\nkind = 'bcee'", "loss.heatmap.kind: no loss is called 'bcee'; did you mean 'bce'"),
        ("[loss.heatmap]\nsigna = 2.0", "loss.heatmap.signa: the loss 'bce' has no such option; did you mean 'sigma'"),
        ("[augment]\nviews = 1", "loss.similarity: 'dcca' compares two views of a face: set augment.views = 2, or "),
        ("[loss.edges]\nkind = 'dcca'\ncenter = 'here'", "center"),
        (
            "[heatmap]\ndecode = 'argmx'",
            "heatmap.decode: decoder 'argmx': this network has none; did you mean 'argmax'",
        ),
        ("[model]\nname = 'fifa_tin'", "model.name: no model is called 'fifa_tin'; did you mean 'fifa_tiny'"),
        ("[model.options]\nwidth = 3", "model.options.width is now model.options.backbone.width"),
        ("[optim]\nkind = 'adan'", "optim.kind: 'adan' is no optimiser"),
        ("[optim]\nschedule = 'stepp'", "optim.schedule: no schedule is called 'stepp'; did you mean 'step'"),
        ("[optim]\nrules = [{match = 'heads.*', lr = 1.0}]", "optim.rules: 'heads.*' matches no parameter"),
        ("[[augment.extra]]\nkind = 'nothing'", "augment.extra[0].kind: no augmentation is called 'nothing'"),
        (
            "[loss.heatmap]\nweight = 0\n[loss.coord]\nweight = 0\n[loss.similarity]\nweight = 0",
            "every loss has weight 0",
        ),
        ("[data]\nsplit = 'tests'", "data.split: synthetic:4 has no split 'tests'; did you mean 'test'"),
        ("[data]\nscheme = 'ibug86'", "data.scheme: "),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line_before_anything_is_read(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiducia.training.faces.load_records", lambda *_: pytest.fail("faces were read"))
    source = text.replace("[data]\n", RUN) if text.startswith("[data]") else RUN + text
    recipe = load_recipe(write(tmp_path, "r.toml", source))
    with pytest.raises(UsageError) as caught:
        train(recipe, tmp_path / "run")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_recipe_changes_single_numbers_of_the_published_loss_or_replaces_it(tmp_path: Path) -> None:
    def losses(text: str) -> dict[str, tuple[str, float]]:
        recipe = completed(load_recipe(write(tmp_path, "r.toml", RUN + text)))
        return {name: (table.kind, table.weight) for name, table in recipe.loss.items() if table.weight}

    published = {"heatmap": ("bce", 1.0), "coord": ("coord", 1.0), "similarity": ("dcca", 1.0)}
    assert losses("") == published
    assert losses("[loss.similarity]\nweight = 0.5") == {**published, "similarity": ("dcca", 0.5)}
    # A loss between the views joins the published ones; a loss of a single view with its kind is the whole sum.
    assert losses("[loss.similarity]\nkind = 'similarity'") == {**published, "similarity": ("similarity", 1.0)}
    assert losses("[loss.maps]\nkind = 'heatmap_mse'") == {"maps": ("heatmap_mse", 1.0)}
    # A table without a kind, of a loss that there is not, is no more than a switch that is off.
    assert losses("[loss.maps]\nkind = 'bce'\n[loss.similarity]\nweight = 0") == {"maps": ("bce", 1.0)}


def test_an_empty_text_takes_back_the_encoder_of_a_recipe() -> None:
    """As a path it would be the working directory."""
    assert load_recipe("fifa_tiny").model.backbone_weights is not None
    assert load_recipe("fifa_tiny", ['model.backbone_weights=""']).model.backbone_weights is None


@pytest.mark.parametrize(
    ("optim", "says"),
    [
        (
            {"schedule": "multi_step"},
            r"optim\.milestones: the rate of the schedule multi_step falls after these epochs",
        ),
        ({"milestones": [30, 50]}, r"optim\.milestones: the schedule step has none; set optim\.schedule"),
        ({"milestones": [30, 50], "schedule": "cosine"}, ""),
        ({"milestones": [30, 50], "schedule": "multi_step"}, ""),
    ],
)
def test_epochs_at_which_the_rate_should_fall_are_not_passed_over(optim: dict[str, object], says: str) -> None:
    if not says:
        assert parse_recipe({"optim": optim}).optim.milestones == (30, 50)
        return
    with pytest.raises(UsageError, match=says):
        parse_recipe({"optim": optim})
