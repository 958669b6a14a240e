# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client hands over and gets back: reference photographs, detections, portraits, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from portrait_shared.bounds import check_points
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.framing import MAX_PART_BYTES
from portrait_shared.track import MAX_SIDE_PIXELS

MAX_IMAGE_PIXELS = 64_000_000
MAX_REFERENCES = 32


def check_image(image: np.ndarray) -> np.ndarray:
    """The image, contiguous.

    Args:
        image: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha.

    Raises:
        PortraitError: BAD_IMAGE, IMAGE_TOO_LARGE.
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"An image must be (H, W, 3 or 4) uint8 or uint16, not {image.shape} {image.dtype}."
        )
    height, width = image.shape[:2]
    if max(height, width) > MAX_SIDE_PIXELS or height * width > MAX_IMAGE_PIXELS:
        raise PortraitError(
            ErrorCode.IMAGE_TOO_LARGE,
            f"The image has {width}x{height} pixels; {MAX_IMAGE_PIXELS // 10**6} million and sides up to "
            f"{MAX_SIDE_PIXELS} are the limit.",
            "Scale the photo down.",
        )
    if image.nbytes > MAX_PART_BYTES:
        raise PortraitError(
            ErrorCode.IMAGE_TOO_LARGE, f"The image has {width}x{height} pixels, too many for 16 bits a channel.",
            "Scale the photo down, or render with a depth of 8 bits.",
        )  # fmt: skip
    return np.ascontiguousarray(image, image.dtype.newbyteorder("<"))


def check_reference_points(points: np.ndarray) -> np.ndarray:
    """Points of a reference, (70, 2 or 3), as (70, 3) float32; z is 0 where they have none.

    Raises:
        PortraitError: BAD_POINTS, naming the point.
    """
    (checked,) = check_points(np.asarray(points)[np.newaxis])
    full = np.zeros((LANDMARK_COUNT, 3), np.float32)
    full[:, : checked.shape[1]] = checked
    return full


@dataclass(frozen=True, eq=False)
class ReferenceImage:
    """A photograph and its landmarks.

    Attributes:
        image: (H, W, 3 or 4) uint8, RGB or RGB with straight alpha; uint16 for frames of 16 bits.
        points: (70, 2 or 3) pixels of the image; None lets the server detect them.
    """

    image: np.ndarray
    points: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", check_image(self.image))
        if self.points is not None:
            object.__setattr__(self, "points", check_reference_points(self.points))

    @cached_property
    def digest(self) -> str:
        """Content hash of the image."""
        return image_digest(self.image)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, eq=False)
class Detection:
    """One face of a picture.

    Attributes:
        points: (70, 3) float32 pixels, z on x's scale and smaller is nearer.
        face_count: how many faces the picture has.
        detector: which detector found it.
        mesh478: (478, 3) float32 pixels, MediaPipe's dense mesh where the detector has one.
    """

    points: np.ndarray
    face_count: int
    detector: str
    mesh478: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PortraitHandle:
    """References that a server has made ready to be driven.

    Attributes:
        portrait_id: content hash of the references, their points, the engine and what tuned it.
        points: (70, 3) float32, points of the first reference.
        size: (width, height) of the first reference, pixels.
        engine: name of the engine.
        batch_size: how many frames the engine likes to draw at once, on all of the server's devices together.
        references: what it was made of, all with points: enough to make it again on another server.
        personal: what tuned the engine to the person, where something did.
        others: (F, 70, 3) float32, points of the first reference's further faces that are driven too; or None.
        weights: SHA-256 (hex) of the files of the networks that draw it; none where geometry alone does.
    """

    portrait_id: str
    points: np.ndarray
    size: tuple[int, int]
    engine: str
    batch_size: int
    references: Sequence[ReferenceImage] = field(repr=False)
    personal: PersonalFile | None = field(default=None, repr=False)
    others: np.ndarray | None = field(default=None, repr=False)
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerInfo:
    """Who a server is.

    Attributes:
        version: its release.
        protocol: its protocol version.
        pid: its process.
        device: what it computes on: ``cpu``, ``cuda``, ``rocm``, ``xpu`` or ``mps``, ``cuda:1``, several as in ``cuda:0,cuda:1``.
        engines: fingerprint of each engine.
        default_engine: what renders where none is named.
        detectors: names.
        default_detector: what detects where none is named.
        log: path of its log file.
        device_model: what the device's maker calls it; empty before `Client.ask_who` has asked, or of an older server.
        device_bytes: of the device's memory; 0 where that is not known.
    """

    version: str
    protocol: int
    pid: int
    device: str
    engines: Mapping[str, str]
    default_engine: str
    detectors: Sequence[str]
    default_detector: str
    log: str
    device_model: str = ""
    device_bytes: int = 0

    @property
    def draws_on(self) -> str:
        """The device in words: “cuda: NVIDIA H200, 139.8 GiB”."""
        memory = f", {self.device_bytes / 2**30:.1f} GiB" if self.device_bytes else ""
        return f"{self.device}: {self.device_model}{memory}" if self.device_model else self.device


@dataclass(frozen=True, eq=False)
class Frame:
    """One rendered frame.

    Attributes:
        number: the frame's number, as given to `Client.render`.
        digest: its content hash.
        data: a finished file, PNG or OpenEXR, as bytes, or (H, W, 3 or 4) of the type of the first reference; the array is
            read-only.
    """

    number: int
    digest: str
    data: bytes | np.ndarray
