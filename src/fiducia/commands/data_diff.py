"""``fiducia data diff``: what changed between two data sets."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..errors import FiduciaError
from .options import PluginOption, ThreadsOption
from .printing import complain, say

__all__ = ["diff"]


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Data set before, e.g. coco:old.json.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Data set after, of the same landmark scheme.")],
    split: Annotated[str | None, typer.Option(help="Split or part [default: the first split, or all].")] = None,
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of your own data: a name or TOML file.")] = None,
    least: Annotated[
        float, typer.Option("--least", min=0.0, help="Pixels; points that moved no farther count as unchanged.")
    ] = 1e-6,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON object.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Tell what changed between two data sets: faces, points, visibility, boxes.

    Faces are matched by id. Exit status 0 means that they are equal, 1 that they differ, 2 that one cannot be read.
    """
    from ..data.compare import compare
    from ..data.source import find_dataset, load_records

    sides = []
    for source in (before, after):
        splits = find_dataset(source)[0].splits
        try:
            records = load_records(source, split or (splits[0] if splits else "all"), scheme)
        except FiduciaError as error:
            # Status 1 says that both were read and differ.
            complain(str(error))
            raise typer.Exit(2) from None
        for line in records.remarks:
            complain(line)
        sides.append(records)
    found = compare(sides[0], sides[1], least)
    say(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(found.lines()))
    if found.differ:
        raise typer.Exit(1)
