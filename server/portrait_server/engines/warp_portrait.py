# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine without weights keeps of a photo, which landmarks it may be driven to, and the photo as a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from portrait_shared.body import BREATHING, check_body
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import FOLLOWING, channels_of

from portrait_server.drawing.hair import Hair
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.engines.base import DrivenPhoto
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.kernels.levels import finished, levels

_LEAST_FACE_PIXELS = 1.0
_FARTHEST = 2.0  # how far outside the picture the face's middle may be driven, in picture sizes
_WIDEST = 4.0  # how far from that middle a point may be, in picture sizes


@dataclass
class WarpPortrait:
    """What the engine keeps of a reference.

    Attributes:
        image: (H, W, 3 or 4) uint8 or uint16.
        plate: the same shape and type: the background, filled in behind the person.
        matte: (H, W) float32, how far each pixel is the person.
        mesh: the head's geometry in pixels of the image.
        hair: what a turn shows of the head's back, or None.
        layers: where its scenes are kept.
    """

    image: np.ndarray
    plate: np.ndarray
    matte: np.ndarray
    mesh: HeadMesh
    hair: Hair | None
    layers: LayerMemory = field(default_factory=LayerMemory)

    @property
    def driven_photo(self) -> DrivenPhoto:
        """See `Engine.driven_photo`."""
        return DrivenPhoto(self.image, self.matte)

    def scene(self, size: tuple[int, int]) -> Scene:
        """The layers at (width, height) pixels."""
        return self.layers.get(
            self,
            size,
            self.scene_bytes(size),
            lambda: build_scene(levels(self.image), levels(self.plate), self.matte, self.mesh, self.hair, size),
        )

    def scene_bytes(self, size: tuple[int, int]) -> int:
        """About what a scene at (width, height) takes: photo, person, plate, rest, and the matte; hair, and as much of skin."""
        level, difference = (1, 2) if self.image.dtype == np.uint8 else (4, 4)
        height, width, channels = self.image.shape
        whole = size[0] * size[1]
        hair = 0 if self.hair is None else whole * self.hair.colours.size * level // (width * height)
        return whole * (channels * (3 * level + difference) + level) + 2 * hair

    def aimed(self, points: np.ndarray, body: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """What N frames ask of the person, checked.

        Args:
            points: (N, 70, 2 or 3); body: (N, 2), see `portrait_shared.body`; as usual where None.

        Returns:
            points that lie where they can be drawn; the body; and (N,) bool, in which frames the person rests as the
            photo shows it.

        Raises:
            PortraitError: BAD_POINTS.
        """
        points = checked_points(points)
        still = (points == self.mesh.points[:, : points.shape[-1]].astype(np.float32)).all((1, 2))
        if body is not None:
            body = check_body(body, range(len(points)))
            still &= body[:, BREATHING] == 0
        height, width = self.image.shape[:2]
        return within_reach(points, width, height), body, still

    def frames(
        self, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None,
        drawn: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    ) -> np.ndarray:  # fmt: skip
        """Frames for points (N, 70, 2 or 3): the photo itself for its own points and no breath, as drawn for all others.

        Args:
            body: (N, 2), see `portrait_shared.body`; as usual where None.
            drawn: makes frames (M, height, width, 3 or 4) for points that lie where they can be drawn, and bodies.

        Raises:
            PortraitError: BAD_POINTS.
        """
        points, body, still = self.aimed(points, body)
        if not still.any():
            return drawn(points, body)
        photo = unmoved(self.scene(size), matte)
        frames = np.repeat(photo[None], len(points), 0)
        if not still.all():
            others = None if body is None else body[~still]
            frames[~still] = drawn(points[~still], others)
        return frames

    def layered(
        self, points: np.ndarray, size: tuple[int, int], matte: bool, layers: Sequence[str], body: np.ndarray | None,
        drawn: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    ) -> np.ndarray:  # fmt: skip
        """Frames in layers, as `Engine.render_layers`; where `frames` has the photo itself, colours and matte are its own.

        Args:
            points, size, matte, layers, body: as `Engine.render_layers` takes them.
            drawn: as `frames` takes it, makes (N, height, width, K) of as many points and bodies.

        Raises:
            PortraitError: BAD_POINTS.
        """
        points, body, still = self.aimed(points, body)
        frames = drawn(points, body)
        still = still[: len(frames)]
        if not still.any():
            return frames
        own, channels = unmoved_layers(self.scene(size), matte), channels_of(layers)
        for channel in set(channels) & set(own):
            frames[still, ..., channels.index(channel)] = own[channel]
        return frames


def checked_image(image: np.ndarray) -> np.ndarray:
    """A reference's pixels.

    Raises:
        PortraitError: BAD_IMAGE for what is no picture.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype not in (np.uint8, np.uint16) or 0 in image.shape:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"The reference is {image.dtype} of shape {image.shape}, not an RGB or RGBA picture.",
            "Give pixels of 8 or 16 bits as (height, width, 3 or 4).",
        )  # fmt: skip
    return image


def checked_points(points: np.ndarray) -> np.ndarray:
    """Points (N, 70, 2 or 3) as float32.

    Raises:
        PortraitError: BAD_POINTS for another shape, for what is not finite, and for points all in one place.
    """
    points = check_points(np.asarray(points))
    if np.ptp(points[:, :68, :2].astype(float), axis=1).min(initial=np.inf) < _LEAST_FACE_PIXELS:
        raise PortraitError(
            ErrorCode.BAD_POINTS, "The landmarks all lie in one place or on one line.", "Place them on the face."
        )
    return points


def within_reach(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Points (…, 70, 2 or 3) far outside the picture, brought near enough to be drawn; others as they are."""
    limit = float(max(width, height))
    near = points.astype(float)
    middle = near[..., :2].mean(-2, keepdims=True)
    held = np.clip(middle, -_FARTHEST * limit, (_FARTHEST + 1) * limit)
    near[..., :2] = held + np.clip(near[..., :2] - middle, -_WIDEST * limit, _WIDEST * limit)
    near[..., 2:] = np.clip(near[..., 2:], -_WIDEST * limit, _WIDEST * limit)
    return near.astype(np.float32)


def with_following(motion: Motion, layers: Sequence[str]) -> tuple[Motion, Motion | None]:
    """The motion of frames; with the layer `forward` that of the frames that follow too, which is its second half."""
    if FOLLOWING.isdisjoint(layers):
        return motion, None
    count = len(motion) // 2
    return motion.only(slice(0, count)), motion.only(slice(count, None))


def unmoved_layers(scene: Scene, matte: bool) -> dict[str, np.ndarray | float]:
    """What the channels of a frame (H, W) are where it is the photo itself; depth and motion are as in any other."""
    shown = scene.photo if not matte else scene.person
    clear = scene.photo[..., 3].astype(np.float32) if scene.photo.shape[2] == 4 else np.float32(255)
    person = scene.matte * (clear / np.float32(255))
    own = dict(zip("RGB", np.moveaxis(shown[..., :3], -1, 0), strict=True))
    return {**own, "A": person if matte else clear, "matte.A": person, "confidence.Y": 1.0}


def unmoved(scene: Scene, matte: bool) -> np.ndarray:
    """The photo itself, as a frame (H, W, 3 or 4)."""
    if not matte:
        return finished(scene.photo)
    return finished(np.dstack([scene.photo[..., :3], scene.matte]))
