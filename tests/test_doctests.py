"""The examples in the docstrings run, and every public name has one."""

from __future__ import annotations

import ast
import doctest
import inspect
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import fiducia
from fiducia import plugins
from fiducia.registry import Registry

PACKAGE = Path(fiducia.__file__).parent


SLOW = "fiducia.evaluation.exporting"


def modules_with_examples() -> list[object]:
    """Return the modules whose text holds an example; the others are not imported."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = ("fiducia", *path.relative_to(PACKAGE).with_suffix("").parts)
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [pytest.param(name, marks=[pytest.mark.slow] if name == SLOW else []) for name in found]


def attribute_texts(module: str) -> dict[str, str]:
    """Return name → docstring of a module's variables: the text below their assignment, which Python does not keep."""
    file = inspect.getsourcefile(import_module(module))
    body = ast.parse(Path(file or "").read_text(encoding="utf-8")).body
    texts = {}
    for variable, after in pairwise(body):
        target = variable.target if isinstance(variable, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[target.id] = inspect.cleandoc(str(after.value.value))
    return texts


def run(test: doctest.DocTest) -> None:
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.failed == 0, f"{test.name}: see the output above"


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})  # an example imports a plugin
    if name == SLOW:
        pytest.importorskip("onnxruntime", reason="needs the export extra")
    module = import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        run(test)
    parser = doctest.DocTestParser()
    for variable, text in attribute_texts(name).items():
        run(parser.get_doctest(text, dict(vars(module)), f"{name}.{variable}", None, None))


@pytest.mark.parametrize("name", [name for name in fiducia.__all__ if name != "__version__"])
def test_a_public_name_has_an_example_that_is_not_skipped(name: str) -> None:
    value = getattr(fiducia, name)
    text = inspect.getdoc(value) or ""
    if isinstance(value, Registry):
        text = attribute_texts(f"fiducia.{fiducia._HOMES[name]}")[name]
    examples = doctest.DocTestParser().get_examples(text)
    assert any(doctest.SKIP not in example.options for example in examples), f"fiducia.{name} has no example that runs"
