"""``fiducia reproduce TABLE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["reproduce"]


def reproduce(
    table: Annotated[str, typer.Argument(help="table1 to table7 of the paper.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME:ROOT", help="Faces to train and test on, e.g. cofw:/data/cofw.")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="smoke (does it run?), small (a network for CPUs) or paper (as published).")
    ] = "smoke",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every row.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first; another machine takes the next.")] = 0,
    rows: Annotated[str | None, typer.Option(metavar="A,B", help="Only these rows.")] = None,
    budget: Annotated[
        str, typer.Option(help="Compare rows at equal epochs, at equal image views, or both: epochs, views, both.")
    ] = "both",
    split: Annotated[str | None, typer.Option(help="Measure on this split or part [default: the test split].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of every row's recipe.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Runs and ledger [default: runs/reproduce-SCALE].")] = None,
    ledger_only: Annotated[
        bool, typer.Option("--ledger-only", help="Train nothing; write the ledger of what is there.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Train and measure the rows of one of the paper's tables; what is finished is never repeated."""
    from ..errors import FiduciaError, UsageError
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
        failed = run(order, say=lambda line: typer.echo(line, err=True))
    typer.echo(out / "ledger.md")
    if failed:
        raise FiduciaError(f"{len(failed)} run{'s' if len(failed) > 1 else ''} failed: {'; '.join(failed)}")
