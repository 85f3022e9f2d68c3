"""ImageNet-trained EfficientNet-Lite0, 1 and 2 as encoders: ``efficientnet_lite``."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...errors import FiduciaError
from ...models.parts.efficientnet_lite import EfficientNetLite
from ..converters import Converted, converters, rename

__all__ = ["convert_efficientnet_lite"]


@converters.register("efficientnet_lite")
def convert_efficientnet_lite(state: Mapping[str, Tensor]) -> Converted:
    """Convert the state dict of an EfficientNet-Lite; the classifier and the convolution before it are left out.

    The result is an encoder alone and no network (``num_points`` is 0): its tensors fit
    :class:`~fiducia.models.parts.efficientnet_lite.EfficientNetLite` of the version that the shapes tell.

    Raises:
        FiduciaError: the tensors are of none of the three versions.
    """
    inside = rename(state, lambda name: name if name.startswith(("_conv_stem.", "_bn0.", "_blocks.")) else None)
    problems: list[str] = []
    for version in (0, 1, 2):
        own = EfficientNetLite(version).state_dict()
        problem = _differs(inside, own)
        if not problem:
            return Converted(
                model="",
                num_points=0,
                size=224,
                state={name: inside[name] for name in own},
                licence="Apache-2.0",
                notes=f"EfficientNet-Lite{version} trained on ImageNet; RGB as (x - 127) / 128",
            )
        problems.append(f"Lite{version}: {problem}")
    raise FiduciaError(f"this is no EfficientNet-Lite ({'; '.join(problems)})")


def _differs(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Return the first difference of names or shapes; empty where there is none."""
    for name, tensor in own.items():
        if name not in state:
            return f"it lacks {name}"
        if state[name].shape != tensor.shape:
            return f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
    more = sorted(set(state) - set(own))
    return f"it has {more[0]}" if more else ""
