# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine is: prepare references once, then render frames from landmarks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces


@dataclass(frozen=True)
class Reference:
    """A photograph of the person and its landmarks.

    Attributes:
        image: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha.
        points: (70, 3) float32 pixels of the image, z on x's scale and smaller is nearer.
        mesh478: (478, 3) float32, MediaPipe's dense mesh of the face, where it is known already.
        people: (h, w) float32 of any size, where the image shows people, roughly, where that is known already.
    """

    image: np.ndarray
    points: np.ndarray
    mesh478: np.ndarray | None = None
    people: np.ndarray | None = None


@dataclass(frozen=True)
class DrivenPhoto:
    """The picture that an engine moves.

    Attributes:
        image: (H, W, 3 or 4) uint8 or uint16.
        people: (H, W) float32, 0 to 1: how far each pixel is one of the people who are driven. Around these a frame has
            the picture's own pixels, but for where they move to.
    """

    image: np.ndarray
    people: np.ndarray


class Engine(ABC):
    """A way to draw a portrait.

    `prepare` is called by one thread at a time. `render` is called beside it by up to three, also for one portrait: by
    the two that draw frames of usual size, and by the one for large frames.

    Attributes:
        name: what a user asks for (``--engine``).
        fingerprint: changes whenever the pixels it makes may change (code version, weights); part of every frame's
            content hash. It is the same on every device, which may differ by 1 of 255: no machine draws another's frames
            again.
        weights: SHA-256 (hex) of the files of the networks that draw; none where geometry alone does.
        batch_size: how many frames it likes to draw in one call.
        batch_pixels: of all frames of a call, the most: larger ones would keep others waiting for longer than they save.
    """

    name: str
    fingerprint: str
    weights: tuple[str, ...] = ()
    batch_size: int = 4
    batch_pixels: int = 1 << 22

    @abstractmethod
    def prepare(self, references: Sequence[Reference], others: np.ndarray | None = None) -> Any:
        """What rendering needs of the references, computed once.

        Args:
            references: 1 to 32; the first one's pixel frame is the portrait's.
            others: (F, 70, 3) float32, points of further faces of the first reference that are driven too. Further
                references show the first face.

        Raises:
            PortraitError: BAD_POINTS, BAD_IMAGE.
        """

    def prepare_frame(self, frame: Reference) -> Any:
        """As `prepare`, of a frame of a filmed shot, whose face moves little away from it: quickly, without what only a
        large turn brings into view. Called by several threads at once.

        Raises:
            PortraitError: BAD_POINTS, BAD_IMAGE.
        """
        return self.prepare([frame])

    def driven_photo(self, portrait: Any) -> DrivenPhoto | None:
        """What a portrait's frames are made of; None for an engine that may draw all of a frame anew."""
        return None

    @abstractmethod
    def render(
        self, portrait: Any, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Frames of the portrait. On the processor the same points give the same bytes, whatever the batch.

        On a device the patches of a batch are as large as its largest, so that a few pixels at their rims may differ.

        Args:
            portrait: what `prepare` returned.
            points: (N, 70, 2 or 3) float32, pixels of the first reference.
            size: (width, height) of the frames, pixels; the first reference's whole picture fills them.
            matte: whether to return the person's straight alpha as a fourth channel.
            body: (N, 2) float32, see `portrait_shared.body`; as usual where None.
            others: N frames of the further faces that the portrait was prepared with.

        Returns:
            (N, height, width, 3) RGB; (N, height, width, 4) with `matte`, or where the first
            reference has transparency. Of the first reference's type.
        """

    def render_layers(
        self, portrait: Any, points: np.ndarray, size: tuple[int, int], matte: bool, layers: Sequence[str],
        body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Frames in layers.

        Args:
            points: (N, 70, 2 or 3); with the layer `forward` (2 N, 70, 2 or 3), then those of the frames that follow.
            size: as `render` takes it.
            matte: whether `rgba` is the person over nothing.
            layers: see `portrait_shared.layers.LAYERS`.
            body, others: as `render` takes them, a row for each of `points`.

        Returns:
            (N, height, width, K) float32, the channels that `layers.channels_of` names. Colours are straight, and as the
            reference's, they and mattes from 0 to 255; depth, motion and confidence as files have them. Over nothing,
            colours far from the person say nothing.

        Raises:
            PortraitError: BAD_MESSAGE for an engine that has no layers.
        """
        raise PortraitError(
            ErrorCode.BAD_MESSAGE,
            f"The engine {self.name} draws no layers.",
            "Render PNG files, or with another engine.",
        )
