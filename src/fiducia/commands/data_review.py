"""``fiducia data review``: a page on which a person corrects labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption
from .printing import complain, say
from .progress import Progress

__all__ = ["review"]


def review(
    source: Annotated[
        str,
        typer.Argument(metavar="NAME:ROOT", help="Data set, e.g. coco:faces.json; its labels are changed in place."),
    ],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Weights that the labels are compared with; of several, the mean. none = by the shapes alone [default: fifa_tiny]."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split or part [default: the first split, or all].")] = None,
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of your own data: a name or TOML file.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 8010,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token [default: the variable FIDUCIA_TOKEN, else a new one]."),
    ] = None,
    who: Annotated[str | None, typer.Option(help="Name in the journal [default: yours on this machine].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Correct labels in the browser, the most doubtful face first.

    Labels are changed where they lie: only the bytes of the points that change. The original stays as FILE.orig, and a
    journal tells every change. Ids of rejected faces are written for data.exclude.
    """
    from ..errors import UsageError
    from .interrupts import interruptible

    try:
        from ..review.run import run_review
    except ImportError as error:
        raise UsageError(
            f"fiducia data review needs the package {error.name}; install the extra: pip install 'fiducia[serve]'"
        ) from None
    progress = Progress("faces")

    def tell(line: str) -> None:
        progress.clear()
        (say if "open http" in line or "journal:" in line else complain)(line)

    with interruptible(lambda: "nothing was changed"):
        run_review(
            source,
            weights=weights or (),
            split=split,
            scheme=scheme,
            port=port,
            token_file=token_file,
            who=who,
            device=device,
            on_progress=progress,
            tell=tell,
        )
