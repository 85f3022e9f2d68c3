"""Pages and help use the field's words; the phrases here were replaced (docs/design.md, "Plain English")."""

from __future__ import annotations

import re

import pytest

from .pages import ROOT, docstrings, generated, written

REPLACED = {
    r"looks? at (?:the mirrored crop|every (?:crop|face) mirrored) too": "flip test-time augmentation",
    r"in twice the time": "about 2x slower",
    r"photographs, or folders": "image files or directories",
    r"look(?:s|ed)? (?:a second time|twice)": "a second pass on a tighter crop",
    r"crops? again round": "a second pass on a tighter crop",
    r"\bpass(?:es|ed)? over (?:faces|images|photographs)|\bpassed over\b": "skip",
    r"must not be trained on\b(?! (?:these|the))": "excluded from training",
    r"what is minimi[sz]ed|sum of named terms": "the training loss",
    r"\bcommittees?\b": "ensemble",
    r"\bcarv(?:e|ed|ing)\b": "the validation split is drawn",
    r"\bheld[- ]out faces\b": "validation faces",
    r"(?<!model )\bcards?\b": "model card",
    r"what explains a run|everything that explains": "run metadata",
    r"luck of (?:a|the) seed|luck of training": "within seed variance",
    r"what joins them": "edges",
    r"\bwhoever\b": "if you",
    r"and nothing else is\b": "only",
}


def without_the_table(text: str) -> str:
    """Return a page without the table of phrases, and without the note on old names."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("| instead of")), len(lines))
    return "\n".join(line for line in lines[:start] if "*committee*" not in line)


def replaced(text: str) -> list[str]:
    """Return the phrases that a text should not have, each with what to write."""
    flat = " ".join(text.split())
    return [
        f"{match.group(0)!r}: write {instead!r}"
        for phrase, instead in REPLACED.items()
        for match in re.finditer(phrase, flat, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", [*map(str, [p.relative_to(ROOT) for p in written()]), *generated()])
def test_a_page_says_it_plainly(page: str) -> None:
    text = generated().get(page) or (ROOT / page).read_text(encoding="utf-8")
    assert not replaced(without_the_table(text)), page


def test_docstrings_of_the_api_say_it_plainly() -> None:
    texts = docstrings()
    assert len(texts) > 50
    found = {name: phrases for name, text in texts.items() if (phrases := replaced(text))}
    assert not found


def test_the_phrases_of_the_table_are_looked_for() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text.partition("| instead of")[2], re.MULTILINE)
    assert len(rows) > 8
    for instead, _ in rows[1:]:
        assert any(re.search(phrase, instead, re.IGNORECASE) for phrase in REPLACED), instead
