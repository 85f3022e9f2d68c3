"""The pages of the documentation, written and generated, for the tests beside this file."""

from __future__ import annotations

import sys
from functools import cache
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
    """Return path → text of the pages that are generated from the code; the help of every command is among them."""
    from cli_page import cli_page
    from recipe_page import recipe_page
    from registry_page import registry_page

    return {"cli.md": cli_page(), "recipe.md": recipe_page(), "registries.md": registry_page()}
