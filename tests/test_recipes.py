from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fiducia.errors import UsageError
from fiducia.recipes.files import dump_recipe, load_recipe, parse_recipe, recipe_names, table_file
from fiducia.recipes.sections import Recipe
from fiducia.reproduce.rows import SCALES, TABLES


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
    assert (recipe.loss.heatmap, recipe.loss.coord, recipe.loss.similarity_weight) == (1.0, 1.0, 1.0)


def test_the_literal_recipe_says_every_literal_thing() -> None:
    recipe = load_recipe("paper_literal")
    assert recipe.heatmap.quantize_centers
    assert recipe.heatmap.heatmap_norm == "density"
    assert recipe.heatmap.decode == "argmax"
    assert recipe.loss.similarity == "corr_scalar"
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
        ("[augment]\nviews = 1", 'loss.similarity = "none"'),
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
        path, ["epochs=7", "loss.coord_loss=wing", "data.exclude=['a*']", "augment.fifa.n=3", "model.options.width=96"]
    )
    assert recipe.train.epochs == 7
    assert recipe.loss.coord_loss == "wing"
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
@example(epochs=1, lr=1.0, name="face \U0001f600\x7f", exclude=["\U00010000/*"])
@given(
    epochs=st.integers(1, 999),
    lr=st.floats(1e-7, 1.0),
    name=st.text(min_size=1, max_size=12),
    exclude=st.lists(st.text(max_size=8), max_size=3),
)
def test_any_recipe_survives_a_round_trip(epochs: int, lr: float, name: str, exclude: list[str]) -> None:
    import tomllib

    recipe = parse_recipe(
        {"name": name, "train": {"epochs": epochs}, "optim": {"lr": lr}, "data": {"exclude": exclude}}
    )
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe


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
