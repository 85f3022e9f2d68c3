"""ImageNet classifiers from torchvision or timm, as trunks for networks here: ``resnet18``."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...errors import FiduciaError
from ...models.parts.resnet import ResNetTrunk
from ..backbone import left_over
from ..converters import Converted, converters, rename

__all__ = ["convert_resnet18"]


@converters.register("resnet18")
def convert_resnet18(state: Mapping[str, Tensor]) -> Converted:
    """Convert torchvision's or timm's ``resnet18``, which share their names; the classifier is left out.

    The result is an encoder alone and no network (``num_points`` is 0): its tensors fit
    :class:`~fiducia.models.parts.resnet.ResNetTrunk`, the encoder of ``dtld``, ``dvit`` and ``pipnet_r18``.

    Raises:
        FiduciaError: a tensor that ResNet-18 needs is absent or of another shape, or there are more of them.
    """
    tensors = rename(state, lambda name: None if name.startswith("fc.") else name)
    own = ResNetTrunk(18).state_dict()
    more = left_over(tensors, own)
    if more:
        raise FiduciaError(
            f"this is no ResNet-18: it has {more}, as deeper networks do; expected torchvision's or timm's resnet18"
        )
    for name, expected in own.items():
        if name.endswith("num_batches_tracked"):
            continue  # the first published files are older than these counters
        if name not in tensors:
            raise FiduciaError(f"this is no ResNet-18: it lacks {name}; expected torchvision's or timm's resnet18")
        if tensors[name].shape != expected.shape:
            raise FiduciaError(
                f"this is no ResNet-18: {name} is {tuple(tensors[name].shape)}, expected {tuple(expected.shape)}"
            )
    return Converted(
        model="",
        num_points=0,
        size=224,
        state=tensors,
        licence="unknown (torchvision's code is BSD-3-Clause; its weights were trained on ImageNet)",
        notes="ResNet-18 trained on ImageNet; RGB in [0, 1] with ImageNet's mean and deviation",
    )
