from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fiducia.data.formats.pts import write_pts
from fiducia.data.source import label_writers, load_records
from fiducia.draw.basics import text_width
from fiducia.errors import FiduciaError, UsageError
from fiducia.inspect.previews import preview, turning_epochs
from fiducia.recipes.files import parse_recipe
from fiducia.recipes.sections import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Two white photographs with a face's points in the middle, and no augmentation but the squares."""
    grid = np.stack(np.meshgrid(np.linspace(60, 140, 17), np.linspace(60, 140, 4)), axis=-1).reshape(68, 2)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(cv2.imencode(".png", np.full((200, 200, 3), 255, np.uint8))[1].tobytes())
        write_pts(tmp_path / f"{name}.pts", grid)
    plain = {"warp": False, "occlusion": 0.0, "noise": 0.0, "gray": 0.0, "gamma": False, "blur": False}
    return parse_recipe({"data": {"source": f"pts:{tmp_path}", "size": 512}, "augment": plain})


def black(image: np.ndarray) -> int:
    return int((image == 0).all(axis=-1).sum())


def test_the_papers_epochs_are_the_turning_ones(recipe: Recipe) -> None:
    assert turning_epochs(recipe) == [1, 6, 11, 16, 21, 26]
    short = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": 3})})
    assert turning_epochs(short) == [1, 2, 3]


def test_squares_shrink_from_left_to_right_and_go(recipe: Recipe) -> None:
    one = [black(preview(recipe, epochs=[epoch], faces=1).image) for epoch in (1, 6, 11, 16, 21, 26)]
    # 68 squares of 5 x 5 at the paper's 512 crop, then of 4 x 4 ...; nothing else in the picture is black but letters.
    letters = one[-1]
    assert [n - letters for n in one[:5]] == pytest.approx([68 * side * side for side in (5, 4, 3, 2, 1)], abs=90)
    assert one[0] - letters > 1000


def test_rows_are_faces_and_columns_epochs(recipe: Recipe) -> None:
    sheet = preview(recipe, epochs=[1, 26], faces=6)
    assert (sheet.faces, sheet.epochs) == (2, [1, 26])
    wide = preview(recipe, epochs=[1, 26], faces=6, both_views=True)
    assert wide.image.shape[0] == sheet.image.shape[0]
    assert wide.image.shape[1] > 1.9 * sheet.image.shape[1]
    # I' never has squares.
    half = wide.image.shape[1] // 4
    assert black(wide.image[:, :half]) < black(wide.image[:, half : 2 * half])


def test_without_a_size_the_crops_are_the_networks_own(recipe: Recipe) -> None:
    changes = {"data": recipe.data.model_copy(update={"size": None})}
    changes["model"] = recipe.model.model_copy(update={"name": "fifa_base"})
    assert np.array_equal(
        preview(recipe.model_copy(update=changes), epochs=[1], faces=1).image,
        preview(recipe, epochs=[1], faces=1).image,
    )


def test_the_seed_decides(recipe: Recipe) -> None:
    noisy = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"noise": 1.0, "warp": True})})
    first = preview(noisy, epochs=[1], seed=3).image
    assert np.array_equal(first, preview(noisy, epochs=[1], seed=3).image)
    assert not np.array_equal(first, preview(noisy, epochs=[1], seed=4).image)


def test_wrong_use_is_told(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="epoch 251: the run has epochs 1 to 250"):
        preview(recipe, epochs=[1, 251])
    single = recipe.augment.model_copy(update={"views": 1})
    with pytest.raises(UsageError, match=r"augment\.views = 2"):
        preview(recipe.model_copy(update={"augment": single}), both_views=True)


def test_captions_say_the_squares_side_whole_under_a_small_tile(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def sheet(images: list[np.ndarray], *, captions: list[str], columns: int) -> np.ndarray:
        said.extend(captions)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("fiducia.inspect.previews.contact_sheet", sheet)
    preview(recipe, epochs=[1, 25, 250], faces=1)
    assert said == ["epoch 1, 5 px", "epoch 25, 1 px", "epoch 250, 0 px"]
    # What contact_sheet writes under a tile of 128 pixels, at the size it writes there.
    assert all(text_width(text, 18 * 0.42) <= 128 for text in said)


def test_faces_that_training_skips_are_not_drawn(tmp_path: Path) -> None:
    faces = list(load_records(f"synthetic:3@{tmp_path / 'faces'}", "train", "five"))
    blank = [replace(f, xy=np.full((5, 2), np.nan), visible=np.zeros(5, np.int8)) for f in faces]
    for name, records, rows in (("some", [blank[0], faces[1], blank[2]], 1), ("none", blank, 0)):
        label_writers["coco"](tmp_path / name, records)
        recipe = parse_recipe({"data": {"source": f"coco:{tmp_path / name}", "split": "all", "size": 64}})
        if rows:
            assert preview(recipe, epochs=[1], faces=3).faces == rows
            continue
        with pytest.raises(FiduciaError, match="no face can be cropped: 3 faces are skipped: no labelled point"):
            preview(recipe, epochs=[1], faces=3)
