from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fiducia.data.formats.pts import write_pts
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


def test_of_a_run_in_stages_each_epoch_is_that_of_its_stage(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [
        {"data": {"size": 256}, "train": {"epochs": 3}},
        {"data": {"size": 128}, "augment": {"fifa": {"enabled": False}}, "train": {"epochs": 9}},
    ]
    staged = parse_recipe({**recipe.model_dump(exclude_unset=True), "stage": stages})
    assert turning_epochs(staged) == [1, 2, 3, 4]
    seen: list[tuple[str, int]] = []

    def sheet(images: list[np.ndarray], *, captions: list[str], columns: int) -> np.ndarray:
        seen.extend(zip(captions, (len(image) for image in images), strict=True))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("fiducia.inspect.previews.contact_sheet", sheet)
    assert preview(staged, epochs=[3, 4], faces=1).epochs == [3, 4]
    assert seen == [("epoch 3, 2 px", 256), ("epoch 4, 0 px", 128)]
    with pytest.raises(UsageError, match="epoch 13: the run has epochs 1 to 12"):
        preview(staged, epochs=[13])


def test_only_faces_that_training_would_take_are_shown(recipe: Recipe, tmp_path: Path) -> None:
    write_pts(tmp_path / "b.pts", np.full((68, 2), 7.0))  # all points in one place: training skips it
    assert preview(recipe, epochs=[1]).faces == 1
    for changes, says in (
        ({"only": ("c*",)}, "data.only leave none of 2 faces"),
        ({"only": ("b*",)}, "can be cropped"),
    ):
        other = recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})
        with pytest.raises(FiduciaError, match=says):
            preview(other, epochs=[1])


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
