"""The API's requests and answers, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AlignAnswer",
    "AlignedFace",
    "DetectAnswer",
    "ErrorAnswer",
    "FaceAnswer",
    "ModelsAnswer",
    "Options",
    "Request",
    "StateAnswer",
]

Row = list[float]


class Options(BaseModel):
    """Options of a request: fields of JSON, form fields, or in the address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str | None = Field(default=None, max_length=200, description="A name of GET /v1/models; none = its first.")
    detector: str | None = Field(
        default=None, max_length=200, description="A name of GET /v1/models; none = its first."
    )
    size: int = Field(default=256, ge=16, le=1024, description="Side of an aligned face in pixels; /v1/align alone.")
    format: Literal["png", "jpeg"] = Field(default="png", description="Of aligned faces; /v1/align alone.")


class Photograph(BaseModel):
    """A photograph in a JSON request."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(description="The image file in base64; a data: URL is accepted too.")
    name: str | None = Field(default=None, max_length=200, description="Comes back in the answer.")
    boxes: list[Row] | None = Field(
        default=None,
        description="Rows x1 y1 x2 y2 in pixels, in place of the detector; one face a box, in their order.",
    )


class Request(BaseModel):
    """A JSON request."""

    model_config = ConfigDict(extra="forbid")

    images: list[Photograph]
    weights: str | None = None
    detector: str | None = None
    size: int | None = None
    format: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the options that were given."""
        given = {name: getattr(self, name) for name in Options.model_fields}
        return {name: value for name, value in given.items() if value is not None}


class FaceAnswer(BaseModel):
    """One face, in pixels of the photograph after EXIF rotation."""

    box: Row = Field(description="x1 y1 x2 y2", examples=[[150.7, 61.5, 289.8, 236.0]])
    score: float = Field(description="The detector's score; 1 for a box that was given.")
    points: list[Row] = Field(description="x y of each landmark.")
    confidence: list[float] = Field(description="Of each landmark, in [0, 1].")
    scheme: str = Field(description="The landmark set.", examples=["ibug68"])
    id: int
    quality: float | None = Field(
        default=None, description="Probability that the landmarks are right; calibrated weights."
    )
    sigma: list[float] | None = Field(default=None, description="Expected error of each landmark in pixels.")
    sigma_percent: list[float] | None = Field(
        default=None, description="The same in percent of the inter-ocular distance."
    )
    visible: list[float] | None = Field(default=None, description="Probability that each landmark is visible.")


class AlignedFace(FaceAnswer):
    """One face with its upright crop."""

    aligned: str = Field(description="The image file in base64.")
    to_image: list[Row] = Field(description="2 x 3 affine: aligned pixels -> photograph.")


class Detail(BaseModel):
    """Why a request, or one of its photographs, has no answer."""

    status: int
    code: str = Field(examples=["limit_bytes"])
    message: str
    limit: str | None = Field(default=None, examples=["bytes"])
    maximum: float | None = None
    request_id: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not 2xx."""

    error: Detail


class _Photo(BaseModel):
    image: str = Field(description="The photograph's name.")
    width: int | None = None
    height: int | None = None
    remarks: list[str] = Field(default=[], description="What to know of the file, such as a second frame.")
    error: Detail | None = Field(
        default=None, description="In a request of several photographs: this one has no answer."
    )


class PhotoFaces(_Photo):
    """The faces of one photograph."""

    faces: list[FaceAnswer] = []


class PhotoAligned(_Photo):
    """The aligned faces of one photograph."""

    faces: list[AlignedFace] = []


class _Answer(BaseModel):
    weights: str
    weights_sha256: str
    detector: str
    source: str = Field(default="auto", description="Marks labels that a machine made.")
    request_id: str


class DetectAnswer(_Answer):
    """Answer of /v1/detect."""

    photographs: list[PhotoFaces]


class AlignAnswer(_Answer):
    """Answer of /v1/align."""

    photographs: list[PhotoAligned]


class WeightsAnswer(BaseModel):
    """Weights that the server offers, and their landmark set."""

    name: str
    sha256: str
    model: str
    runtime: str
    size: int = Field(description="Side of the network's input in pixels.")
    licence: str
    scheme: dict[str, Any] = Field(description="name, names, mirror, edges, regions.")


class ModelsAnswer(BaseModel):
    """What the server offers; the first of each list is the default."""

    version: str
    weights: list[WeightsAnswer]
    detectors: list[str]
    limits: dict[str, float]


class StateAnswer(BaseModel):
    """Whether the server lives, or takes work."""

    status: str
