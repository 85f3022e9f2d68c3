"""The flip test: every crop is looked at twice, as it is and mirrored, and the two answers are averaged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..structures import Runtime
from ..weights.card import WeightCard

__all__ = ["FlipTest"]


class FlipTest:
    """A runtime round another one, at twice its time.

    Points are averaged and not heatmaps (HRNet averages those), so that it works with any runtime, an exported graph too. With
    the expectation decoder the result is the same: 3.469 against 3.471 % NME for an earlier ``fifa_tiny`` on its 157 validation
    faces of 300-W (run 4 of docs/experiments/weights-diary.md).

    Args:
        runtime: what computes the network.
        bias: how far to the right the network puts its points on purpose, as a share of the crop's side: the labels of 300-W
            stand there (``augment.mirror_bias``). In a mirrored crop that is the wrong side, and is put right.

    Raises:
        UsageError: its landmark set names no mirror pairs.
    """

    @classmethod
    def of(cls, runtime: Runtime, card: WeightCard) -> FlipTest:
        """Return the flip test of some weights, whose card says how far their points lean."""
        return cls(runtime, card.mirror_bias * card.scale)

    def __init__(self, runtime: Runtime, bias: float = 0.0) -> None:
        still = list(runtime.scheme.mirror) == list(range(runtime.scheme.num_points))
        if not runtime.scheme.mirrors or (runtime.scheme.num_points > 1 and still):
            raise UsageError(
                f"--flip: the landmark set {runtime.scheme.name} of these weights does not say which points a mirror swaps"
            )
        self.runtime = runtime
        self.size = runtime.size
        self.method = runtime.method
        self.bias = bias
        self.scheme = runtime.scheme

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        plain, sure = self.runtime(crops)
        mirrored, sure_mirrored = self.runtime(np.ascontiguousarray(crops[..., ::-1]))
        swap = np.asarray(self.scheme.mirror, dtype=np.intp)
        back = mirrored[:, swap]
        back[..., 0] = self.size - 1 - back[..., 0] + 2 * self.bias * self.size
        points, confidence = (plain + back) / 2, (sure + sure_mirrored[:, swap]) / 2
        return points.astype(np.float32), confidence.astype(np.float32)
