"""The Python code of the pages runs: a page's blocks in their order, in a directory that has the files they name.

What a page leaves to its reader is given to it here: names that a fragment uses, and small data in place of ``300w:ROOT``.
A block that is not run stands in ``NOT_RUN`` with the reason.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducia.augment.registry import augmentations
from fiducia.data.source import datasets
from fiducia.images import read_image
from fiducia.models.registry import models

from .pages import DOCS, ROOT

PHOTO = ROOT / "assets" / "astronaut.jpg"
BLOCK = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    ("design.md", '@fiducia.models.register("hrnet_w18"'): "a sketch of models/hrnet_w18.py, whose name is taken",
    ("quickstart.md", "import fiducia\n\nfiducia.export("): "slow; the doctest of fiducia.export is the same call",
    ("export.md", ""): "slow; the doctest of fiducia.export is the same call",
    ("tutorial_own_landmarks.md", ""): "tests/commands/test_tutorials.py runs the whole page, its commands too",
    ("plugins.md", '"""A network'): "the file of the page: tests/commands/test_plugin_tutorial.py runs it",
    ("plugins.md", "# --- "): "the file of the page: tests/commands/test_plugin_tutorial.py runs it",
}
"""Page and first words of a block (none = every block of the page) → why it is not run."""

FILES = ("photo.jpg", "a.jpg", "b.jpg", "group.jpg", "face.jpg", "face.heic", "assets/astronaut.jpg")
"""What the blocks call their photographs. A photograph's type is told from its content, not from its name."""

GIVEN = {
    "augmentation.md": "import numpy as np, torch\nimage, points, epoch = np.full((64, 64, 3), 9), np.full((5, 2), 30.0), 1\n"
    "images = torch.full((2, 3, 64, 64), 9); points_of_batch = torch.full((2, 5, 2), 30.0)",
    "data.md": "import fiducia\nfrom fiducia.data.source import DatasetSpec\ndef read(root, split, scheme): return []",
    "detect.md": "from fiducia.images import read_image\nimage, paths = read_image('photo.jpg'), ['a.jpg', 'b.jpg']",
    "evaluation.md": "import numpy as np\n"
    "predicted = truth = np.random.default_rng(0).normal(size=(9, 68, 2))\n"
    "nme_a = nme_b = np.linspace(0.01, 0.09, 9); ids_a = ids_b = [str(i) for i in range(9)]",
    "plugins.md": "from fiducia.models import LandmarkModel",
    "points.md": "from fiducia.images import read_image\n"
    "image = read_image('photo.jpg'); height, width = image.shape[:2]; results = [[178, 89, 270, 177]]\n"
    "class insightface_app: get = staticmethod(lambda image: [[178, 89, 270, 177]])",
    "schemes.md": "import numpy as np\nxy = np.arange(136.0).reshape(68, 2)",
    "video.md": "from fiducia.images import read_image\nimage, seconds = read_image('photo.jpg'), 0.0",
}
"""Page → code that comes first: the names that its fragments use."""

REPLACED: dict[str, list[tuple[str, str]]] = {
    "augmentation.md": [("fifa(images, points, epoch)", "fifa(images, points_of_batch, epoch)")],
    "evaluation.md": [
        ('"300w:ROOT", "lfpw/testset"', '"synthetic:3", "test"'),
        ("\ncomparable(a[", "\na = b = result; comparable(a["),
    ],
    "quickstart.md": [
        ('["train.epochs=5"]', '["train.epochs=1", "data.limit=16", "data.size=64"]'),
        ('"synthetic:", "test"', '"synthetic:3", "test"'),
    ],
    "training.md": [
        (
            '["data.source=300w:/data/300w"]',
            '["data.source=synthetic:20", "train.epochs=1", "data.limit=8"]',
        )
    ],
    "synthetic.md": [("synthetic:500", "synthetic:5")],
    "video.md": [  # a video that nobody reads is never closed
        (f'predictor.video("clip.mp4", {smooth})', f'list(predictor.video("clip.mp4", {smooth}))')
        for smooth in ("smooth=False", "smooth=Smoothing(cutoff=0.5)")
    ],
}
"""Page → words of its blocks and what runs in their place: small data, one epoch."""

NEEDS = {
    "README.md": ("supervision",),
    "annotate.md": ("pyarrow",),
    "points.md": ("supervision",),
    "video.md": ("av",),
    "serving.md": ("fastapi", "uvicorn", "httpx"),
}
"""Page → packages of the extras that it tells the reader to install."""


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    text = (ROOT / page if page == "README.md" else DOCS / page).read_text(encoding="utf-8")
    return [textwrap.dedent(body) for _, body in BLOCK.findall(text)]


def reason(page: str, code: str) -> str | None:
    """Return why a block is not run; None = it is."""
    return next((why for (where, first), why in NOT_RUN.items() if where == page and code.startswith(first)), None)


PAGES = ["README.md", *sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))]
RUN = [page for page in PAGES if any(reason(page, code) is None for code in blocks(page))]


@pytest.fixture
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers is gone after it."""
    for registry in (models, datasets, augmentations):
        list(registry)  # the built-in entries come in at the first look
        monkeypatch.setattr(registry, "_items", dict(registry._items))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which a page runs."""
    (tmp_path / "assets").mkdir()
    for name in FILES:
        shutil.copy(PHOTO, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def surroundings(page: str, folder: Path) -> Iterator[list[tuple[str, str]]]:
    """Give a page what is neither a name nor a photograph: a video, a server."""
    if page == "annotate.md":
        from fiducia.annotate.parts import write_chunk

        row: dict[str, Any] = {"position": 0, "photograph": "a.jpg", "face": 0, "width": 9, "height": 9, "score": 1.0}
        row |= {"box": [0.0, 0.0, 9.0, 9.0], "points": [0.5] * 136, "confidence": [0.5] * 68}
        row |= {"scheme": "ibug68", "weights": "w", "weights_sha256": "0"}
        rows = [{**row, "quality": quality} for quality in (0.9, 0.1)]
        write_chunk(folder / "faces", 0, rows, iter([]))
    if page == "video.md":
        from video.clips import write_clip

        write_clip(folder / "clip.mp4", [read_image(PHOTO)] * 4)
    if page != "serving.md":
        yield []
        return
    from fiducia.serve.engine import Engine
    from serve.conftest import LIMITS, on_socket

    engine = Engine(["fifa_tiny"], ["yunet"], runtime="torch", device="cpu", limits=LIMITS)
    with on_socket(engine) as address:
        yield [("http://127.0.0.1:8000", address)]


@pytest.mark.parametrize("page", RUN)
def test_the_python_code_of_a_page_runs(page: str, folder: Path, own_registries: None) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package, reason="needs an extra that the page names")
    names: dict[str, Any] = {"__name__": page}
    exec(GIVEN.get(page, ""), names)
    left = [old for old, _ in REPLACED.get(page, [])]
    with surroundings(page, folder) as more:
        for code in blocks(page):
            if reason(page, code) is not None:
                continue
            for old, new in [*REPLACED.get(page, []), *more]:
                left = [word for word in left if word not in code]
                code = code.replace(old, new)
            exec(compile(code, page, "exec"), names)
    assert not left, "words that no block has any more"
    if page == "annotate.md":
        assert names["points"].shape == (1, 68, 2)
    if page == "points.md":
        check_points(folder, names)


def check_points(folder: Path, names: dict[str, Any]) -> None:
    """The page of points says what its code gives and writes."""
    assert (folder / "cvat.xml").is_file()
    assert (folder / "tasks.json").is_file()
    assert names["crop"].shape == (224, 224, 3)
    assert len(names["rows"]) == 68
    assert np.isclose(names["face"].xy, names["faces"][0].xy, atol=30).all()


def test_a_block_that_is_not_run_is_there_and_says_why() -> None:
    for (page, first), why in NOT_RUN.items():
        assert any(code.startswith(first) for code in blocks(page)), f"{page}: {first}"
        assert len(why) > 20
    assert len(RUN) >= 17
    assert set(GIVEN) | set(REPLACED) | set(NEEDS) <= set(RUN)
    assert read_image(PHOTO).shape[2] == 3
