"""The pages of the documentation, written and generated, for the tests beside this file."""

from __future__ import annotations

import inspect
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOOLS = ROOT / "tools" / "docs"

if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

HISTORY = DOCS / "experiments"
"""Records of what was done; their commands are those of their time."""


def written() -> list[Path]:
    """Return every page that people write, README and the like too."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


@cache
def generated() -> dict[str, str]:
    """Return path below docs/ → text of the pages that are generated from the code, but for those of the Python API."""
    from cli_page import cli_page
    from comparison_page import comparison_page
    from paper_map_page import paper_map_page
    from recipe_page import recipe_page
    from registry_page import registry_page
    from zoo_page import zoo_page

    return {
        "zoo.md": zoo_page(),
        "paper_map.md": paper_map_page(),
        "experiments/comparison.md": comparison_page(),
        "reference/cli.md": cli_page(),
        "reference/recipe.md": recipe_page(),
        "reference/registries.md": registry_page(),
    }


@cache
def docstrings() -> dict[str, str]:
    """Return path → docstrings of every name on the API pages, those of its public methods too."""
    from api_pages import TOPICS, home

    import fiducia

    paths = [home(name).rpartition(".")[::2] for topic in TOPICS.values() for name in topic.public]
    paths += [(f"fiducia.{m}", n) for topic in TOPICS.values() for m, _, n in [p.partition(":") for p in topic.parts]]
    found = {}
    for module, name in paths:
        owner = import_module(module)
        value = getattr(owner if hasattr(owner, name) else fiducia, name)
        inner = [one for key, one in vars(value).items() if key[0] != "_"] if inspect.isclass(value) else []
        texts = [inspect.getdoc(one) for one in (value, *inner) if callable(one) or inspect.ismodule(one)]
        found[f"{module}.{name}"] = "\n\n".join(text for text in texts if text)
    return found
