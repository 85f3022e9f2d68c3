"""Pages of the site that are generated from the code: command line, recipe keys, registries, Python API.

``mkdocs.yml`` names this file under ``hooks``. The pages exist only while the site is built.
"""

from __future__ import annotations

from api_pages import api_pages
from cli_page import cli_page
from comparison_page import comparison_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from paper_map_page import PARTS_PAGE, paper_map_page, paper_parts_page
from recipe_page import recipe_page
from registry_page import registry_page
from zoo_page import zoo_page


def generated_pages() -> dict[str, str]:
    """Return path below docs/ → Markdown of every generated page."""
    return {
        "zoo.md": zoo_page(),
        "experiments/comparison.md": comparison_page(),
        "reference/cli.md": cli_page(),
        "reference/recipe.md": recipe_page(),
        "reference/registries.md": registry_page(),
        "paper_map.md": paper_map_page(),
        PARTS_PAGE: paper_parts_page(),
        **api_pages(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the docs folder."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files
