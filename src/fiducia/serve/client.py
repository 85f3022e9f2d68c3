"""The client: photographs to a server, faces back, as :func:`fiducia.load` gives them. Imports no torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import FiduciaError, UsageError
from ..faces import Faces, Origin, PhotoRef
from ..schemes.sets import Scheme, scheme_from_table
from .client_values import aligned_of, answer_table, boxes_text, face_of, photograph_file, wait_of

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")
_Call = Generator["httpx.Request | float", "httpx.Response | None", T]
"""A request to send (its answer is sent in) or seconds to wait; the same steps serve both clients."""


class _Steps:
    """What both clients do, without doing it."""

    def __init__(self, url: str, token: str | None, retries: int, client: httpx.Client | httpx.AsyncClient) -> None:
        self._http = client
        self._retries = retries
        self._schemes: dict[str, Scheme] = {}
        if token:
            client.headers["authorization"] = f"Bearer {token}"
        self.url = url

    def _models(self) -> _Call[dict[str, Any]]:
        answer = yield from self._send("GET", "/v1/models")
        return answer_table(self.url, answer)

    def _ready(self) -> _Call[bool]:
        try:
            answer = yield self._http.build_request("GET", "/readyz")
        except FiduciaError:
            return False
        return answer is not None and answer.is_success

    def _faces(self, path: str, images: Any, boxes: Any, options: dict[str, Any]) -> _Call[Any]:
        several = isinstance(images, (list, tuple))
        photographs = list(images) if several else [images]
        tables = list(boxes) if several and boxes is not None else [boxes] * len(photographs)
        if len(tables) != len(photographs):
            raise UsageError(
                f"{len(photographs)} photographs, but boxes for {len(tables)}; give one table of boxes each"
            )
        if not photographs:
            return []
        files = [("file", photograph_file(photo, i)) for i, photo in enumerate(photographs)]
        fields = {name: str(value) for name, value in options.items() if value is not None}
        if boxes is not None:
            fields["boxes"] = boxes_text(tables, [name for _, (name, _) in files])
        answer = yield from self._send("POST", path, files=files, data=fields)
        table = answer_table(self.url, answer, "weights", "weights_sha256", "photographs")
        if table["weights"] not in self._schemes:
            known = yield from self._models()
            self._schemes = {row["name"]: scheme_from_table(row["scheme"]) for row in known["weights"]}
        results: list[list[Any]] = []
        scheme, origin = self._schemes[table["weights"]], Origin(table["weights"], table["weights_sha256"])
        for photo, row in zip(photographs, table["photographs"], strict=True):
            if row.get("error"):
                raise FiduciaError(row["error"]["message"])
            stored = isinstance(photo, (str, Path))
            name = str(photo) if stored else row["image"]
            ref = PhotoRef(name, row["width"], row["height"], None, tuple(row.get("remarks", ())), stored)
            faces = Faces(
                [face_of(face, scheme, ref) for face in row["faces"]], scheme=scheme, photo=ref, origin=origin
            )
            if path.endswith("align"):
                results.append([(face, *aligned_of(one)) for face, one in zip(faces, row["faces"], strict=True)])
            else:
                results.append(faces)
        return results if several else results[0]

    def _send(self, method: str, path: str, **content: Any) -> _Call[httpx.Response]:
        """Send a request; where the server is busy, wait as long as it says and try again."""
        trial = 0
        while True:
            answer = yield self._http.build_request(method, path, **content)
            assert answer is not None
            if answer.status_code != 429 or trial == self._retries:
                break
            trial += 1
            yield wait_of(answer)
        if answer.is_success:
            return answer
        try:
            message = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = "is this a fiducia server?"
        raise FiduciaError(f"{self.url}: {answer.status_code}: {message}")


class Client(_Steps):
    """Asks a server of ``fiducia serve``. Safe to call from many threads; close it, or use it in a ``with`` block.

    Args:
        url: of the server.
        token: its bearer token, if it has one.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again when the server is busy (429).
        transport: of httpx, for tests and proxies.

    Example:
        >>> with Client("http://127.0.0.1:8000", token="secret") as client:  # client.detect("photo.jpg") gives the faces
        ...     pass
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client = _httpx().Client(base_url=url, timeout=timeout, transport=transport)
        super().__init__(url, token, retries, self._client)

    def detect(self, image: Any, boxes: Any = None, *, weights: str | None = None, detector: str | None = None) -> Any:
        """Return the faces of an image, or of each image in a list, in one request.

        Args:
            image: a path, the bytes of a file, a uint8 ``(H, W, 3)`` RGB array or a PIL image; or a list of these.
            boxes: as of :class:`fiducia.Predictor`: rows x1 y1 x2 y2 in pixels, or another detector's result, in place of the
                detector; for a list, one table (or None) per image.
            weights: a name of :meth:`models`; None = the server's first.
            detector: a name of :meth:`models`; None = the server's first.

        Returns:
            The faces, a :class:`fiducia.Faces`; for a list of images, a list of these.

        Raises:
            FiduciaError: the server refused the request or cannot be reached; the message is the server's.
        """
        return self._do(self._faces("/v1/detect", image, boxes, {"weights": weights, "detector": detector}))

    def align(
        self,
        image: Any,
        boxes: Any = None,
        *,
        size: int = 256,
        weights: str | None = None,
        detector: str | None = None,
    ) -> Any:
        """Return ``(face, crop, to_image)`` for each face: an upright uint8 ``(size, size, 3)`` RGB crop and its affine back.

        The arguments and errors are those of :meth:`detect`; ``size`` is the crop's side in pixels.
        """
        options = {"weights": weights, "detector": detector, "size": size}
        return self._do(self._faces("/v1/align", image, boxes, options))

    def models(self) -> dict[str, Any]:
        """Return what the server offers: weights with their landmark sets, detectors, limits."""
        return self._do(self._models())

    def ready(self) -> bool:
        """Tell whether the server takes requests."""
        return self._do(self._ready())

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _do(self, steps: _Call[T]) -> T:
        try:
            step = next(steps)
            while True:
                if not isinstance(step, float):
                    try:
                        answer = self._client.send(step)
                    except _httpx().HTTPError as error:
                        step = steps.throw(_unreachable(self.url, error))
                    else:
                        step = steps.send(answer)
                else:
                    time.sleep(step)
                    step = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result


class AsyncClient(_Steps):
    """:class:`Client` for asyncio: the same methods, to be awaited, in an ``async with`` block.

    Example:
        >>> client = AsyncClient("http://127.0.0.1:8000")  # faces = await client.detect("photo.jpg")
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = _httpx().AsyncClient(base_url=url, timeout=timeout, transport=transport)
        super().__init__(url, token, retries, self._client)

    async def detect(
        self, image: Any, boxes: Any = None, *, weights: str | None = None, detector: str | None = None
    ) -> Any:
        """Return what :meth:`Client.detect` returns."""
        return await self._do(self._faces("/v1/detect", image, boxes, {"weights": weights, "detector": detector}))

    async def align(
        self,
        image: Any,
        boxes: Any = None,
        *,
        size: int = 256,
        weights: str | None = None,
        detector: str | None = None,
    ) -> Any:
        """Return what :meth:`Client.align` returns."""
        options = {"weights": weights, "detector": detector, "size": size}
        return await self._do(self._faces("/v1/align", image, boxes, options))

    async def models(self) -> dict[str, Any]:
        """Return what :meth:`Client.models` returns."""
        return await self._do(self._models())

    async def ready(self) -> bool:
        """Tell whether the server takes requests."""
        return await self._do(self._ready())

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncClient:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def _do(self, steps: _Call[T]) -> T:
        try:
            step = next(steps)
            while True:
                if not isinstance(step, float):
                    try:
                        answer = await self._client.send(step)
                    except _httpx().HTTPError as error:
                        step = steps.throw(_unreachable(self.url, error))
                    else:
                        step = steps.send(answer)
                else:
                    await asyncio.sleep(step)
                    step = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result


def _httpx() -> Any:
    """Return the package, which the extra brings; ``import fiducia`` works without it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import httpx
    except ImportError:
        raise UsageError("fiducia.Client needs httpx; install the extra: pip install 'fiducia[serve]'") from None
    return httpx


def _unreachable(url: str, error: Exception) -> FiduciaError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return FiduciaError(f"{url}: no answer ({reason}); does fiducia serve run there?")
