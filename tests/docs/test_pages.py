"""What the pages say is there: commands, options, recipe keys, links, public names."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import fiducia
from fiducia.errors import UsageError
from fiducia.recipes.files import load_recipe, parse_recipe, recipe_names

from .pages import DOCS, HISTORY, ROOT, generated, written

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def shell_lines() -> Iterator[tuple[str, str]]:
    """Yield page and command for every command of fiducia in the pages, continued lines joined."""
    for page in written():
        if HISTORY in page.parents:
            continue
        for _, language, body in FENCE.findall(page.read_text(encoding="utf-8")):
            if language != "sh":
                continue
            for line in body.replace("\\\n", " ").splitlines():
                if line.strip().startswith("fiducia "):
                    yield str(page.relative_to(ROOT)), line.strip()


COMMANDS = sorted(set(shell_lines()))


def words_of(line: str) -> list[str]:
    """Return the words of a command, its comment left out, and the ellipses and brackets of a synopsis too."""
    words = [word for word in shlex.split(line, comments=True) if word != "…"]
    return [word if "=[" in word else word.strip("[]").removesuffix("...") for word in words]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_of_the_pages_exists_with_its_options(page: str, line: str) -> None:
    from cli_page import commands, option_names

    words = words_of(line)
    if words[1:] in (["--version"], ["COMMAND", "--help"]):
        return
    known = dict(commands())
    name = next((c for c in known if words[: len(c.split())] == c.split()), None)
    assert name is not None, f"{page}: {line}"
    options = option_names(known[name])
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"{page}: {word} in: {line}"


@pytest.mark.parametrize(("page", "line"), [(p, li) for p, li in COMMANDS if "--set" in li])
def test_what_a_command_sets_is_a_key_with_a_fitting_value(page: str, line: str) -> None:
    words = words_of(line)
    values = [after for word, after in pairwise(words) if word == "--set" and not after.startswith("KEY=")]
    recipe = words[2] if words[1] == "train" and words[2] in recipe_names() else "fine_tune"
    try:
        load_recipe(recipe, values)
    except UsageError as error:
        pytest.fail(f"{page}: {line}: {error}")


BENCHMARK = re.compile(r"python (?:-m )?benchmarks/(\w+)\.py((?:[^`\n\\]|\\\n)*)")


def benchmark_lines() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield page, benchmark and options of every command of a benchmark in the pages, generated ones too."""
    texts = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in written()}
    for page, text in {**texts, **generated()}.items():
        for name, rest in BENCHMARK.findall(text):
            yield page, name, tuple(re.findall(r"(?<!\S)--[\w-]+", rest.partition("#")[0]))


BENCHMARKS = sorted(set(benchmark_lines()))


@pytest.mark.parametrize(("page", "name", "options"), BENCHMARKS)
def test_a_benchmark_of_the_pages_exists_with_its_options(page: str, name: str, options: tuple[str, ...]) -> None:
    file = ROOT / "benchmarks" / f"{name}.py"
    assert file.is_file(), f"{page}: {file.name}"
    text = file.read_text(encoding="utf-8")
    assert not [option for option in options if f'"{option}"' not in text], f"{page}: {name}"


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 60
    assert len({name for _, name, _ in BENCHMARKS}) > 15


def test_every_table_of_a_recipe_in_the_pages_is_valid() -> None:
    checked = 0
    for page in (DOCS / "recipes.md", DOCS / "augmentation.md"):
        for _, language, body in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "toml":
                table = tomllib.loads(body)
                table.pop("extends", None)
                parse_recipe(table, origin=page.name)
                checked += 1
    assert checked > 6


@pytest.mark.parametrize("page", written(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file(page: Path) -> None:
    made = {(DOCS / name).resolve() for name in generated()}
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        file = (page.parent / target).resolve()
        assert file.exists() or file in made, f"{page.name}: {target}"


def test_the_page_of_training_lists_every_network_that_takes_an_encoder() -> None:
    from fiducia.models.base import LandmarkModel
    from fiducia.models.registry import models

    page = (DOCS / "training.md").read_text(encoding="utf-8")
    table = page.partition("## Pre-trained encoders")[2].partition("\n## ")[0]
    names: dict[object, list[str]] = {}
    for name in models:
        build = models[name].build
        if inspect.isclass(build) and build.encoder is not LandmarkModel.encoder:
            names.setdefault(build, []).append(name)
    assert len(names) > 5
    for build, own in names.items():
        assert any(f"`{name}" in table for name in own), build


def test_every_public_name_is_on_one_page_of_the_api() -> None:
    from api_pages import TOPICS

    shown = [name for topic in TOPICS.values() for name in topic.public]
    assert sorted(shown) == sorted(set(fiducia.__all__) - {"__version__"})


def test_every_recipe_key_is_explained() -> None:
    from recipe_page import recipe_rows

    rows = recipe_rows()
    assert len(rows) > 80
    for _, (key, _, allowed, what) in rows:
        assert what.endswith("."), key
        assert allowed, key


def test_every_command_and_option_is_explained() -> None:
    from cli_page import commands

    for words, command in commands():
        assert command.help, words
        for parameter in command.params:
            assert parameter.help, f"{words} {parameter.name}"


def test_the_zoo_shows_the_model_card_of_all_shipped_weights() -> None:
    from fiducia.weights.info import load_card
    from fiducia.weights.places import shipped_names

    section = generated()["zoo.md"].partition("## Model cards")[2].partition("\n## ")[0]
    for name in shipped_names():
        card = load_card(name)
        assert f"`{name}`" in section
        assert card.sha256[:12] in section
        assert card.licence in section
        assert all(f"{row['value']:.3f}" in section for row in card.numbers)
