from __future__ import annotations

import numpy as np
import pytest
from pictures import astronaut

from fiducia.detectors import yunet_network
from fiducia.detectors.views import Pyramid
from fiducia.detectors.yunet_file import shipped_file
from fiducia.detectors.yunet_network import YuNetNetwork

pytest.importorskip("openvino")


@pytest.mark.parametrize("name", ["yunet_n", "yunet_s"])
def test_openvino_finds_what_opencv_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = YuNetNetwork(shipped_file(name))
    assert quick._request is not None
    monkeypatch.setattr(yunet_network, "_request", lambda file: None)
    plain = YuNetNetwork(shipped_file(name))
    image = astronaut()
    found = 0
    # Sides that are and are not multiples of 32, several faces beside each other, and none.
    for picture in (image, image[:150, :201], np.tile(image[::2, ::2], (2, 2, 1)), np.full((40, 70, 3), 90, np.uint8)):
        bgr = Pyramid(picture).whole(max(picture.shape)).bgr
        (got,), (want,) = quick([bgr]), plain([bgr])
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=2e-3)
        found += len(want)
    assert found >= 5


def test_in_another_process_opencv_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = YuNetNetwork(shipped_file("yunet_n"))
    bgr = Pyramid(astronaut()).whole(320).bgr
    (want,) = network([bgr])
    monkeypatch.setattr(yunet_network, "_home", -1)
    np.testing.assert_allclose(network([bgr])[0], want, atol=2e-3)
    assert network._opencv is not None


@pytest.mark.parametrize("count", [1, 3, 5, 21])
def test_pictures_together_have_the_faces_of_each_alone(count: int) -> None:
    network = YuNetNetwork(shipped_file("yunet_n"))
    image = astronaut()
    # Two sizes in turns, with another face, or none, in every picture.
    pictures = [Pyramid(np.roll(image, 17 * i, axis=1)).whole(160 if i % 4 < 3 else 130).bgr for i in range(count)]
    pictures[count // 2][:] = 90
    together, alone = network(pictures), [network([bgr])[0] for bgr in pictures]
    assert [len(rows) for rows in together] == [len(rows) for rows in alone]
    for got, want in zip(together, alone, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-3)
    assert len(together[count // 2]) == 0
    assert sum(map(len, alone)) >= count - 1
