"""``fiducia data check|preview|convert|pack|relabel|suspects``: check, draw, convert, pack and relabel faces, find wrong labels.

``review`` and ``diff`` are in files of their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import Interrupted
from .data_diff import diff
from .data_review import review
from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import complain, say
from .progress import Progress

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Check, preview, convert, pack, relabel and compare data sets, and find and correct wrong labels.",
)

Source = Annotated[str, typer.Argument(metavar="NAME:ROOT", help="Data set, e.g. 300w:/data/300w or coco:faces.json.")]


@app.command()
def check(
    source: Source,
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of your own data: a name or TOML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON object.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Check a data set: count the faces, decode every image, find points outside.

    Exit status 1 means that a file is broken. Missing parts are only reported.
    """
    from ..data.check import check as run

    progress = Progress("images", shown=not as_json)
    with interruptible(lambda: f"{progress.done:,} of {progress.total:,} images were checked"):
        try:
            report = run(source, scheme, on_progress=progress)
        finally:
            progress.clear()
    say(json.dumps(report.to_json(), indent=2) if as_json else "\n".join(report.lines()))
    for line in report.examples(broken=True):
        complain(line)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def preview(
    source: Source,
    out: Annotated[Path, typer.Option(help="Output image, .png or .jpg.")],
    split: Annotated[str, typer.Option(help="Split or part of the data set.")] = "train",
    recipe: Annotated[str, typer.Option(help="A recipe file, or a name from fiducia list recipes.")] = "300w",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, e.g. augment.mirror=0.5.")
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(help="Epochs to draw, one column each, e.g. 1,6,11 [default: where FiFA's squares change]."),
    ] = None,
    faces: Annotated[int, typer.Option(min=1, help="Number of faces, one row each.")] = 6,
    views: Annotated[bool, typer.Option("--views", help="Draw both views, I' and I''.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the faces and the augmentation.")] = 0,
    saliency: Annotated[
        bool, typer.Option("--saliency", help="Draw where a network looks, without and with FiFA's squares (Fig. 1).")
    ] = False,
    weights: Annotated[str, typer.Option(help="With --saliency: weights of the network.")] = "fifa_tiny",
    against: Annotated[
        str | None, typer.Option(help="With --saliency: weights of a second network, such as one trained without FiFA.")
    ] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Draw faces as training sees them, with FiFA's squares: one row per face, one column per epoch."""
    from ..errors import UsageError
    from ..images import write_image
    from ..inspect.previews import preview as run
    from ..recipes.files import load_recipe

    overrides = [*(set_ or []), f"data.source={json.dumps(source)}", f"data.split={json.dumps(split)}"]
    chosen = None
    if epochs is not None:
        if not all(word.strip().isdigit() and int(word) > 0 for word in epochs.split(",")):
            raise UsageError(f"--epochs {epochs}: expected numbers from 1 with commas between, such as 1,6,11")
        chosen = [int(word) for word in epochs.split(",")]
    if saliency:
        if views or len(chosen or [1]) > 1:
            raise UsageError("--saliency shows one epoch's squares; leave out --views, and give --epochs one number")
        from ..inspect.saliency import saliency as look

        looked = look(
            load_recipe(recipe, overrides),
            [weights, *([] if against is None else [against])],
            epoch=(chosen or [1])[0],
            faces=faces,
            seed=seed,
        )
        write_image(out, looked.image)
        say(f"{out}: {looked.faces} faces; share of a landmark's saliency within 5 % of the crop's side of it:")
        for name, (plain, squares) in looked.focus.items():
            say(f"{name}: {100 * plain:.1f} % without, {100 * squares:.1f} % with squares")
        return
    if against is not None:
        raise UsageError("--against compares saliency; add --saliency")
    sheet = run(load_recipe(recipe, overrides), epochs=chosen, faces=faces, both_views=views, seed=seed)
    write_image(out, sheet.image)
    say(f"{out}: {sheet.faces} faces at epochs {', '.join(map(str, sheet.epochs))}")


@app.command()
def convert(
    source: Source,
    to: Annotated[str, typer.Option(help="Output format: coco, csv, cvat, labelstudio or pts.")],
    out: Annotated[Path, typer.Option(help="Output file (.json, .csv, .xml), or directory for .pts files.")],
    split: Annotated[str | None, typer.Option(help="Split or part [default: the first split, or all].")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Landmark scheme to convert to, or of your own data: a name or TOML file.")
    ] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Convert annotations to another format, such as COCO, CSV, CVAT, Label Studio or .pts files."""
    from ..data.source import find_dataset, label_writers, load_records

    write = label_writers.get(to, "--to: ")
    splits = find_dataset(source)[0].splits
    with interruptible(lambda: f"{out} is not complete; run the same command again"):
        records = load_records(source, split or (splits[0] if splits else "all"), scheme)
        for line in records.remarks:
            complain(line)
        write(out, records)
    say(f"{out}: {len(records):,} faces")


@app.command()
def pack(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output directory, new or empty.")],
    shard_size: Annotated[int, typer.Option(min=1, metavar="MB", help="Size of a shard in megabytes.")] = 256,
    crop: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="Store only a crop around each face, this many times as wide as its box [default: the image files as they are].",
        ),
    ] = None,
    box_source: Annotated[str, typer.Option(help="Boxes of the crops: landmarks or dataset.")] = "landmarks",
    jpeg_quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Store the crops as JPEG of this quality [default: as PNG, lossless]."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split or part [default: train if there is one, else all].")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Landmark scheme to convert to, or of your own data: a name or TOML file.")
    ] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Pack faces and their images into shards (tar files), which training reads as shards:DIR without holding them in memory.

    Exit status 1 means that an image could not be packed; the others are.
    """
    from ..data.shards.pack import pack as run
    from ..data.shards.place import require_empty
    from ..data.source import find_dataset, load_records
    from ..errors import UsageError

    if box_source not in ("landmarks", "dataset"):
        raise UsageError(f"--box-source {box_source}: expected landmarks or dataset")
    spec, _ = find_dataset(source)
    chosen = split or ("train" if "train" in spec.splits else "all")
    progress = Progress("faces")
    with interruptible(lambda: f"{out} is not complete; run the same command again, which starts anew"):
        require_empty(out)
        records = load_records(source, chosen, scheme)
        for line in records.remarks:
            complain(line)
        try:
            packed = run(
                records,
                out,
                source=spec.name,
                split=chosen,
                shard_bytes=shard_size * 1_000_000,
                crop=crop,
                box_source="dataset" if box_source == "dataset" else "landmarks",
                quality=jpeg_quality,
                on_progress=progress,
            )
        finally:
            progress.clear()
    index = packed.index
    stored = sum(shard.tar_bytes for shard in index.shards) / 1e6
    say(f"{out}: {index.faces:,} faces in {len(index.shards):,} shards, {stored:,.0f} MB")
    for line in packed.failures:
        complain(line)
    if packed.failures:
        raise typer.Exit(1)


@app.command()
def suspects(
    source: Source,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output directory: suspects.csv, suspects.png and a run per fold.")
    ],
    folds: Annotated[int, typer.Option(min=2, help="Number of folds; one network is trained per fold.")] = 5,
    weights: Annotated[
        str | None,
        typer.Option(help="Use these weights and train nothing; they must not have been trained on these faces."),
    ] = None,
    split: Annotated[str, typer.Option(help="Split or part of the data set.")] = "train",
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of your own data: a name or TOML file.")] = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe for the folds: a file, or a name from fiducia list recipes.")
    ] = "suspects",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, e.g. train.epochs=5.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of faces in suspects.png; at most 10 are printed.")] = 24,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Find wrong labels: faces whose labels differ most from the prediction of a network that was not trained on them.

    Run the same command again to continue after an interruption.
    """
    from ..files import require_writable
    from ..inspect.suspects import find_suspects, write_suspects
    from ..recipes.files import load_recipe

    require_writable(out / "suspects.csv")
    overrides = [f"data.source={json.dumps(source)}", f"data.split={json.dumps(split)}", f"train.device={device}"]
    overrides += [] if scheme is None else [f"data.scheme={json.dumps(scheme)}"]
    loaded = load_recipe(recipe, [*overrides, *(set_ or [])])

    def told() -> str:
        done = sum((out / f"fold{number + 1}" / "metrics.json").is_file() for number in range(folds))
        kept = f"{done} of {folds} folds are finished; " if weights is None else ""
        return f"{kept}run the same command again, which does the rest"

    try:
        with interruptible(told) as stop:
            found = find_suspects(loaded, out, folds=folds, weights=weights, device=device, stop=stop, tell=complain)
            written = write_suspects(out, found, top)
    except Interrupted as stopped:
        # A fold that saved its step speaks of --resume, which this command does by itself.
        raise Interrupted(f"stopped; {told()}", stopped.status) from None
    for path in written:
        say(str(path))
    for rank, one in enumerate(found[: min(top, 10)], start=1):
        say(f"{rank:>3}  {one.record.id}  {one.score:.1f} times the usual: {' and '.join(one.points)}")


@app.command()
def relabel(
    source: Source,
    out: Annotated[Path, typer.Option(help="Output file or directory: a new data set.")],
    weights: Annotated[
        list[str],
        typer.Option(help="Weights of the networks whose predictions are averaged, with flip test-time augmentation."),
    ],
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far labels move: 0 = not at all, 1 = onto the predictions.")
    ] = 0.5,
    style: Annotated[
        str | None, typer.Option(help="First move all labels to the style of this part of the data set.")
    ] = None,
    gain: Annotated[float, typer.Option(min=0.0, max=3.0, help="Factor on the difference in style.")] = 1.0,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.99, help="Share of faces whose labels do not change; use the val_fraction of the recipe."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed that chooses these faces; use the val_seed of the recipe.")] = 0,
    to: Annotated[str, typer.Option(help="Output format.")] = "coco",
    split: Annotated[str, typer.Option(help="Split or part of the data set.")] = "train",
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of your own data: a name or TOML file.")] = None,
    box_source: Annotated[str, typer.Option(help="Boxes for the crops: landmarks or dataset.")] = "landmarks",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Move labels towards the predictions of trained networks, and write them as a new data set."""
    from .relabel import relabel_data

    with interruptible(lambda: f"{out} is not complete; run the same command again"):
        lines = relabel_data(
            source,
            out,
            weights,
            to=to,
            split=split,
            scheme=scheme,
            share=share,
            style=style,
            gain=gain,
            holdout=holdout,
            seed=seed,
            box_source=box_source,
            device=device,
        )
    for line in lines:
        say(line)


app.command()(review)
app.command()(diff)
