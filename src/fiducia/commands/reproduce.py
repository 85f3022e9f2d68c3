"""``fiducia reproduce TABLE``: the tables of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import FiduciaError, Interrupted, UsageError
from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import say

__all__ = ["reproduce"]


def reproduce(
    table: Annotated[str, typer.Argument(help="table1 to table7, or comparison: networks at equal budget.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME:ROOT", help="Data set to train and test on, e.g. cofw:/data/cofw.")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="smoke (a quick test), small (a network for CPUs) or paper (as published).")
    ] = "smoke",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds per row.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="First seed, to share seeds among machines.")] = 0,
    rows: Annotated[str | None, typer.Option(metavar="A,B", help="Only these rows.")] = None,
    budget: Annotated[
        str, typer.Option(help="Compare rows at equal epochs, equal image views, or both: epochs, views, both.")
    ] = "both",
    split: Annotated[str | None, typer.Option(help="Split or part for evaluation [default: the test split].")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value in the recipe of every row."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for runs and ledger [default: runs/reproduce-SCALE].")
    ] = None,
    ledger_only: Annotated[bool, typer.Option("--ledger-only", help="Only write the ledger of finished runs.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Train and evaluate the rows of a table of the paper. Finished runs are kept."""
    from ..files import printable
    from ..reproduce.ledger import finished_runs
    from ..reproduce.ledger_files import write_ledger
    from ..reproduce.rows import BUDGETS, load_table
    from ..reproduce.run import Order
    from ..reproduce.run import reproduce as run

    name = load_table(table).name
    out = out if out is not None else Path("runs") / f"reproduce-{scale}"
    if budget not in (*BUDGETS, "both"):
        raise UsageError(f"--budget {budget}: expected epochs, views or both")
    failed: list[str] = []
    if ledger_only:
        write_ledger(out, name)
    elif data is None:
        raise UsageError("--data is missing: name the faces, for example --data synthetic: or --data cofw:ROOT")
    else:
        order = Order(
            table=name,
            source=data,
            out=out,
            scale=scale,
            seeds=tuple(range(first_seed, first_seed + seeds)),
            rows=tuple(name.strip() for name in rows.split(",")) if rows is not None else None,
            budgets=BUDGETS if budget == "both" else (budget,),
            split=split,
            sets=(*(set_ or []), *([f'train.device="{device}"'] if device is not None else [])),
        )
        place = out

        def told() -> str:
            done = finished_runs(place, name)
            runs = f"{done} finished run{'' if done == 1 else 's'} of {name} in {place}"
            return f"{runs}; the same command again does the rest"

        try:
            with interruptible(told) as stop:
                failed = run(order, say=lambda line: typer.echo(printable(line), err=True), stop=stop)
        except Interrupted as stopped:
            # A run that saved its step speaks of --resume, which this command does by itself.
            raise Interrupted(f"stopped; {told()}", stopped.status) from None
    say(str(out / "ledger.md"))
    if failed:
        raise FiduciaError(f"{len(failed)} run{'s' if len(failed) > 1 else ''} failed: {'; '.join(failed)}")
