"""Points for annotated faces: by the annotation's box or a detector's, in one process or in several."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from ..geometry import box_iou, tight_box
from ..heatmaps import decoders
from ..predict.predictor import Predictor, load
from ..predict.runtime import pick_device
from ..registry import did_you_mean
from ..structures import FiduciaError, Record, UsageError

Array = npt.NDArray[np.float64]

__all__ = ["MATCH_IOU", "Settings", "find_points", "find_shared"]

MATCH_IOU = 0.4
"""A detector's box is a face's own from this intersection over union with the tight box of its true points on."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the network is run.

    Attributes:
        weights: shipped name, file, or a run's directory.
        detector: None = crop by the annotation.
        runtime: what computes the network.
        decode: another decoder than the card's.
        batch_size: crops computed together; it changes no figure.
        second_pass: with a detector, crop again round the first points.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes that share the faces.
    """

    weights: str
    detector: str | None = None
    runtime: str = "torch"
    decode: str | None = None
    batch_size: int = 32
    second_pass: bool = True
    device: str = "auto"
    devices: int = 1

    def predictor(self, device: str) -> Predictor:
        """Build the network on a device.

        Raises:
            UsageError: an unknown name, or a decoder where the runtime has its own built in.
        """
        second = self.second_pass and self.detector is not None
        predictor = load(
            self.weights,
            detector=self.detector,
            device=device,
            runtime=self.runtime,
            second_pass=second,
            batch_size=self.batch_size,
        )
        if self.decode is not None:
            if self.decode not in decoders:
                raise UsageError(f"--decode {self.decode}: no such decoder{did_you_mean(self.decode, list(decoders))}")
            if not hasattr(predictor.runtime, "decode"):
                raise UsageError(f"--decode: the runtime {self.runtime} has its decoder built in; use --runtime torch")
            predictor.runtime.decode = self.decode
        return predictor


def find_points(predictor: Predictor, records: Sequence[Record], box_source: str = "landmarks") -> Array:
    """Return predicted points ``(N, K, 2)`` in photograph pixels, in the order of the records.

    Without a detector every face is cropped by its own annotation. With one, a face takes the detected box of greatest
    overlap, and is nan where that is under :data:`MATCH_IOU`.

    Args:
        predictor: with or without a detector; its scale is the crop's.
        records: annotated faces.
        box_source: ``landmarks`` or ``dataset``: the annotation's box.

    Raises:
        FiduciaError: a photograph that cannot be read, or a face that cannot be cropped.
    """
    by_photo: dict[Path, list[int]] = {}
    for i, record in enumerate(records):
        by_photo.setdefault(record.image, []).append(i)
    boxes: dict[Path, list[Array]] = {}
    for path, faces in by_photo.items():
        true = [_annotated_box(records[i], box_source) for i in faces]
        if predictor.detector is not None:
            detections = [d.box for d in predictor.find(path)[1]]
            overlap = box_iou([tight_box(records[i].xy) for i in faces], detections)
            best = overlap.argmax(axis=1) if len(detections) else np.zeros(len(faces), dtype=np.intp)
            matched = [bool(len(detections)) and overlap[row, at] >= MATCH_IOU for row, at in enumerate(best)]
            by_photo[path] = [i for i, ok in zip(faces, matched, strict=True) if ok]
            true = [detections[at] for at, ok in zip(best, matched, strict=True) if ok]
        boxes[path] = true
    found = np.full((len(records), predictor.runtime.scheme.num_points, 2), np.nan)
    photos = [path for path in by_photo if boxes[path]]
    # A predictor that is given boxes gives one face a box, in their order.
    for path, faces_found in zip(photos, predictor.stream(photos, [boxes[path] for path in photos]), strict=True):
        for i, face in zip(by_photo[path], faces_found, strict=True):
            found[i] = face.xy
    return found


def find_shared(settings: Settings, records: Sequence[Record], box_source: str) -> tuple[Array, bool]:
    """Find the points of all faces, in one process or in several; the result is the same.

    Under torchrun its processes share the faces, else ``settings.devices`` are started on this machine.

    Args:
        settings: how the network is run.
        records: annotated faces.
        box_source: as in :func:`find_points`.

    Returns:
        Points ``(N, K, 2)``, and whether this process is the first. Every process of a torchrun has them all.
    """
    device = pick_device(settings.device).type
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    world = int(os.environ.get("WORLD_SIZE", "1")) if launched else settings.devices
    if world == 1:
        return find_points(settings.predictor(device), records, box_source), True
    work = partial(_work, settings=settings, records=records, box_source=box_source)
    if launched:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, strategy="ddp")
        fabric.launch()
        found, lead = work(fabric), fabric.global_rank == 0
    else:
        found, lead = _spawned(Fabric(accelerator=device, devices=world, strategy="ddp_spawn"), work), True
    if isinstance(found, FiduciaError):
        raise found
    return found, lead


def _spawned(fabric: Fabric, work: Callable[[Fabric], Array | FiduciaError]) -> Array | FiduciaError:
    """Run ``work`` in processes of their own; the answer comes back in a file.

    Fabric hands results over in a pipe that it empties only after the processes have ended, so that a result of more
    than the pipe's 64 kB would never arrive.
    """
    with tempfile.TemporaryDirectory() as folder:
        failure = fabric.launch(partial(_to_file, work=work, path=Path(folder) / "points.npy"))
        return failure if failure is not None else np.load(Path(folder) / "points.npy")


def _to_file(fabric: Fabric, work: Callable[[Fabric], Array | FiduciaError], path: Path) -> FiduciaError | None:
    found = work(fabric)
    if isinstance(found, FiduciaError):
        return found
    if fabric.global_rank == 0:
        np.save(path, found)
    return None


def _work(
    fabric: Fabric, settings: Settings, records: Sequence[Record], box_source: str
) -> npt.NDArray[np.float64] | FiduciaError:
    """Do this process's share (every world-th face) and gather; an error travels as a value, so that nobody waits."""
    rank, world = fabric.global_rank, fabric.world_size
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    part: Array | FiduciaError
    try:
        part = find_points(settings.predictor(str(fabric.device)), records[rank::world], box_source)
    except FiduciaError as error:
        part = error
    parts: list[Array | FiduciaError] = [part] * world
    torch.distributed.all_gather_object(parts, part)
    shares: list[Array] = []
    for share in parts:
        if isinstance(share, FiduciaError):
            return share
        shares.append(share)
    found = np.full((len(records), *shares[0].shape[1:]), np.nan)
    for r, share in enumerate(shares):
        found[r::world] = share
    return found


def _annotated_box(record: Record, box_source: str) -> Array:
    """Return the annotation's box of a face."""
    if box_source == "dataset":
        if record.box is None:
            raise FiduciaError(
                f"{record.image}: face {record.id} has no box, and these weights are cropped by the data set's"
            )
        return record.box
    try:
        return tight_box(record.xy)
    except ValueError as error:
        raise FiduciaError(f"{record.image}: face {record.id} cannot be cropped: {error}") from None
