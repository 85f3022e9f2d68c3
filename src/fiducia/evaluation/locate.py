"""Points for annotated faces: by the annotation's box or a detector's, in one process or in several."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from ..cpu import wanted_threads
from ..device import leave_group, own_group, pick_device
from ..errors import FiduciaError, UsageError
from ..exporting.sealed import is_export
from ..geometry import box_iou, tight_box
from ..plugins import load_plugins, loaded_plugins
from ..predict.predictor import Predictor, load
from ..runtimes.registry import get_runtime
from ..structures import Detection, Record
from ..weights.card import WeightCard
from ..weights.store import described_network
from .found import Found

Array = npt.NDArray[np.float64]
Tell = Callable[[int, int], None]

__all__ = ["MATCH_IOU", "Found", "Settings", "annotated_box", "find_at", "find_faces", "find_points", "find_shared"]

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
        flip: flip test-time augmentation; None = as the weights' card says.
        plugins: files that other processes import first.
    """

    weights: str
    detector: str | None = None
    runtime: str = "torch"
    decode: str | None = None
    batch_size: int = 32
    second_pass: bool = True
    device: str = "auto"
    devices: int = 1
    flip: bool | None = None
    plugins: tuple[str, ...] = field(default_factory=lambda: tuple(map(str, loaded_plugins())))

    def flips(self, card: WeightCard) -> bool:
        """Return whether crops are looked at mirrored too."""
        return card.flip if self.flip is None else self.flip

    def label(self, card: WeightCard) -> str:
        """Return what the weights are called: a run by its directory's name, since runs of one recipe share the card's."""
        path = Path(self.weights)
        return path.resolve().name if path.is_dir() else card.name

    def decoder(self, card: WeightCard) -> str | None:
        """Return the decoder that will be used; None for a network that gives points. Nothing is computed.

        Raises:
            UsageError: a decoder that the network does not have, or an exported file, which has its own built in.
        """
        get_runtime(self.runtime)
        if is_export(self.weights):
            if self.decode is not None:
                raise UsageError(f"--decode {self.decode}: {self.weights} has its decoder built in; give the weights")
            return card.decode
        model = described_network(card, self.weights)
        try:
            return model.check_method(self.decode or card.decode) or None
        except UsageError as error:
            raise UsageError(f"--decode: {error}") from error

    def predictor(self, device: str) -> Predictor:
        """Build the network on a device.

        Raises:
            UsageError: an unknown name, or a decoder where the runtime has its own built in.
        """
        load_plugins(self.plugins)
        second = self.second_pass and self.detector is not None
        return load(
            self.weights,
            detector=self.detector,
            device=device,
            runtime=self.runtime,
            second_pass=second,
            batch_size=self.batch_size,
            flip=self.flip,
            decode=self.decode,
        )


def find_points(predictor: Predictor, records: Sequence[Record], box_source: str = "landmarks") -> Array:
    """Return the points ``(N, K, 2)`` of :func:`find_faces` alone."""
    return find_faces(predictor, records, box_source).xy


def find_faces(
    predictor: Predictor, records: Sequence[Record], box_source: str = "landmarks", on_progress: Tell | None = None
) -> Found:
    """Return predicted points in the order of the records.

    Without a detector every face is cropped by its own annotation. With one, a face takes the detection of greatest
    overlap, as ``detect`` crops it, and is nan where that is under :data:`MATCH_IOU`.

    Args:
        predictor: with or without a detector; its scale is the crop's.
        records: annotated faces.
        box_source: ``landmarks`` or ``dataset``: the annotation's box.
        on_progress: called with photographs done and photographs in all; with a detector each counts twice.

    Raises:
        FiduciaError: a photograph that cannot be read, or a face that cannot be cropped.
    """
    boxes: list[Array | Detection | None] = [annotated_box(record, box_source) for record in records]
    if predictor.detector is not None:
        photos = _by_photo(records)
        for done, (path, faces) in enumerate(photos.items(), 1):
            if on_progress is not None:
                on_progress(done, 2 * len(photos))
            detections = predictor.find(path)[1]
            overlap = box_iou([tight_box(records[i].xy) for i in faces], [one.box for one in detections])
            for row, i in enumerate(faces):
                best = int(overlap[row].argmax()) if detections else -1
                boxes[i] = detections[best] if detections and overlap[row, best] >= MATCH_IOU else None
    asked = [[] if box is None else [box] for box in boxes]
    found = find_at(predictor, records, asked, on_progress, again=predictor.detector is not None)
    whole = Found.nothing(len(records), predictor.runtime.scheme.num_points)
    for i, one in enumerate(found):
        if len(one.xy):
            whole.put(i, one)
    return whole


def find_at(
    predictor: Predictor,
    records: Sequence[Record],
    boxes: Sequence[Sequence[Array | Detection]],
    on_progress: Tell | None = None,
    again: bool = False,
) -> list[Found]:
    """Return what is found in given boxes of each face; a photograph is read once for all its boxes.

    Args:
        predictor: its detector is not asked.
        records: N faces.
        boxes: for each face as many boxes ``(4,)`` as one likes, in photograph pixels; or all of them detections, whose angle
            and own box count as in ``detect``.
        on_progress: called with photographs done and photographs in all.
        again: this is the second half of the work, for ``on_progress``.

    Returns:
        For each face, points ``(boxes, K, 2)`` and confidence ``(boxes, K)`` in the order of its boxes.

    Raises:
        FiduciaError: as :func:`find_faces`, or a box that lies outside its photograph.
    """
    k = predictor.runtime.scheme.num_points
    found = [Found.nothing(0, k) for _ in records]
    photos = {path: faces for path, faces in _by_photo(records).items() if any(len(boxes[i]) for i in faces)}
    tables = [[box for i in faces for box in boxes[i]] for faces in photos.values()]
    # A predictor that is given boxes gives one face a box, in their order.
    answered = zip(photos.values(), predictor.stream(list(photos), tables), strict=True)
    for done, (faces, answers) in enumerate(answered, 1):
        if on_progress is not None:
            on_progress(done + again * len(photos), (1 + again) * len(photos))
        waiting = iter(answers)
        for i in faces:
            mine = [next(waiting) for _ in boxes[i]]
            if mine:
                found[i] = Found.of(mine)
    return found


def _by_photo(records: Sequence[Record]) -> dict[Path, list[int]]:
    """Return the places of each photograph's faces."""
    photos: dict[Path, list[int]] = {}
    for i, record in enumerate(records):
        photos.setdefault(record.image, []).append(i)
    return photos


def find_shared(
    settings: Settings, records: Sequence[Record], box_source: str, on_progress: Tell | None = None
) -> tuple[Found, bool]:
    """Find the points of all faces, in one process or in several; the result is the same.

    Under torchrun its processes share the faces, else ``settings.devices`` are started on this machine.

    Args:
        settings: how the network is run.
        records: annotated faces.
        box_source: as in :func:`find_faces`.
        on_progress: as in :func:`find_faces`, where one process does it all.

    Returns:
        What was found, and whether this process is the first. Every process of a torchrun has them all.
    """
    device = pick_device(settings.device).type
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    world = int(os.environ.get("WORLD_SIZE", "1")) if launched else settings.devices
    if world == 1:
        # The device as it was named: cuda:1 is not the first GPU, and auto may be more than torch's choice.
        return find_faces(settings.predictor(settings.device), records, box_source, on_progress), True
    work = partial(_work, settings=settings, records=records, box_source=box_source)
    if launched:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, strategy="ddp")
        with own_group():
            fabric.launch()
            found, lead = work(fabric), fabric.global_rank == 0
    else:
        found, lead = _spawned(Fabric(accelerator=device, devices=world, strategy="ddp_spawn"), work), True
    if isinstance(found, FiduciaError):
        raise found
    return found, lead


def _spawned(fabric: Fabric, work: Callable[[Fabric], Found | FiduciaError]) -> Found | FiduciaError:
    """Run ``work`` in processes of their own; the answer comes back in a file.

    Fabric hands results over in a pipe that it empties only after the processes have ended, so that a result of more
    than the pipe's 64 kB would never arrive.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.npz"
        failure = fabric.launch(partial(_to_file, work=work, path=path))
        if failure is not None:
            return failure
        return Found.load(path)


def _to_file(fabric: Fabric, work: Callable[[Fabric], Found | FiduciaError], path: Path) -> FiduciaError | None:
    try:
        found = work(fabric)
    finally:
        leave_group()
    if isinstance(found, FiduciaError):
        return found
    if fabric.global_rank == 0:
        found.save(path)
    return None


def _work(fabric: Fabric, settings: Settings, records: Sequence[Record], box_source: str) -> Found | FiduciaError:
    """Do this process's share (every world-th face) and gather; an error travels as a value, so that nobody waits."""
    rank, world = fabric.global_rank, fabric.world_size
    torch.set_num_threads(max(1, wanted_threads() // world))
    part: Found | FiduciaError
    try:
        part = find_faces(settings.predictor(str(fabric.device)), records[rank::world], box_source)
    except FiduciaError as error:
        part = error
    parts: list[Found | FiduciaError] = [part] * world
    torch.distributed.all_gather_object(parts, part)
    shares: list[Found] = []
    for share in parts:
        if isinstance(share, FiduciaError):
            return share
        shares.append(share)
    found = Found.nothing(len(records), shares[0].xy.shape[1])
    for r, share in enumerate(shares):
        found.put(slice(r, None, world), share)
    return found


def annotated_box(record: Record, box_source: str) -> Array:
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
