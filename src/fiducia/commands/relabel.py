"""``fiducia data relabel``: labels moved towards a network's points, written as a data set of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

__all__ = ["relabel_data"]


def relabel_data(
    source: str,
    out: Path,
    weights: Sequence[str],
    *,
    to: str = "coco",
    split: str = "train",
    scheme: str | None = None,
    share: float = 0.5,
    style: str | None = None,
    gain: float = 1.0,
    holdout: float = 0.0,
    seed: int = 0,
    box_source: str = "landmarks",
    device: str = "auto",
) -> list[str]:
    """Read faces, ask networks for their points, move the labels and write them.

    Args:
        source: ``NAME:ROOT``.
        out: the file or directory to write.
        weights: networks whose points are averaged, each with flip test-time augmentation.
        to: the format: a name of :data:`fiducia.data.source.label_writers`.
        split: which faces.
        scheme: the landmark set of own points.
        share: how far labels move, in [0, 1].
        style: the part whose style all labels are moved to first.
        gain: of the style.
        holdout: share of the faces whose labels stay, in [0, 1): those that a recipe with this ``data.val_fraction`` and
        seed: this ``data.val_seed`` draws for validation.
        box_source: where the networks' crops come from: ``landmarks`` or ``dataset``.
        device: where the networks run.

    Returns:
        lines for the user: what was written, and what was skipped.

    Raises:
        UsageError: no weights, weights of another landmark set, or an unknown name.
        FiduciaError: labels or photographs that cannot be read.
    """
    import numpy as np

    from ..data.relabel import relabel, write_relabelled
    from ..data.source import carve, label_writers, load_records
    from ..data.usable import usable
    from ..evaluation.locate import Settings, find_points
    from ..runtimes.opening import read_card

    if not weights:
        raise UsageError("relabel: no weights; name one or more networks with --weights")
    label_writers.get(to, "--to: ")
    found = load_records(source, split, scheme)
    records, skipped = usable(found, box_source)
    if not records:
        raise UsageError(f"{source}: no face can be cropped; fiducia data check {source} says why")
    answers, digests = [], []
    for name in weights:
        predictor = Settings(weights=name, flip=True).predictor(device)
        if predictor.runtime.scheme.name != records[0].scheme:
            raise UsageError(
                f"--weights {name}: finds {predictor.runtime.scheme.name}, the faces have {records[0].scheme}"
            )
        answers.append(find_points(predictor, records, box_source))
        digests.append(read_card(name).sha256)
    held = {record.id for record in carve(records, holdout, seed)[1]} if holdout else set()
    moved = relabel(
        records,
        np.mean(answers, axis=0),
        share,
        style=style,
        gain=gain,
        keep=held,
        weights="+".join(weights),
        weights_sha256="+".join(digests),
    )
    write_relabelled(out, moved, to)
    count = sum(new is not old for new, old in zip(moved, records, strict=True))
    return [*found.remarks, *skipped, f"{out}: {len(moved):,} faces, {count:,} of them with labels that were moved"]
