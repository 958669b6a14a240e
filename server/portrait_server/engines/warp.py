# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without weights: geometry alone moves the pixels of the photograph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from portrait_shared.body import BREATHING, check_body
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import FOLLOWING, channels_of
from portrait_shared.other_faces import OtherFaces

from portrait_server.detectors.base import Detector
from portrait_server.detectors.matte import GUIDE_PIXELS, MarkedFace, person_matte
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.detectors.shared_matte import divided
from portrait_server.drawing.frame import Moved, draw_frames, move
from portrait_server.drawing.hair import Hair, hair_by_example, quick_hair
from portrait_server.drawing.layers import draw_layers
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.people import taken_apart
from portrait_server.drawing.plate import build_plate, smooth_plate
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.batches import Batches, OneByOne
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.people import PeoplePortrait, Person
from portrait_server.geometry.face_mesh import OVAL
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_server.geometry.reference_mesh import is_face_of, mesh_near, with_depth
from portrait_server.kernels.base import Array
from portrait_server.kernels.levels import finished, levels
from portrait_server.media.images import eight_bit

WARP_VERSION: Final = "warp-8"

_FRAME_GUIDE_PIXELS = 384  # of a frame of a shot, whose background hardly shows where it was hidden
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
        hair: what a turn shows of the head's back.
        layers: where its scenes are kept.
    """

    image: np.ndarray
    plate: np.ndarray
    matte: np.ndarray
    mesh: HeadMesh
    hair: Hair
    layers: LayerMemory = field(default_factory=LayerMemory)

    def scene(self, size: tuple[int, int]) -> Scene:
        """The layers at (width, height) pixels."""
        return self.layers.get(
            self,
            size,
            self.scene_bytes(size),
            lambda: build_scene(levels(self.image), levels(self.plate), self.matte, self.mesh, self.hair, size),
        )

    def scene_bytes(self, size: tuple[int, int]) -> int:
        """About what a scene at (width, height) takes: photo, person, plate, rest, and the matte; and hair."""
        level, difference = (1, 2) if self.image.dtype == np.uint8 else (4, 4)
        height, width, channels = self.image.shape
        whole = size[0] * size[1]
        hair = whole * self.hair.colours.size * level // (width * height)
        return whole * (channels * (3 * level + difference) + level) + hair

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


class WarpEngine(Engine):
    """Moves a photograph's pixels by the difference between its landmarks and the target's.

    Only the first reference is drawn: a warp cannot merge pictures, and a change from one to another would be seen.
    """

    name = "warp"

    def __init__(self, batches: Batches | None = None, layers: LayerMemory | None = None) -> None:
        """On the processor where `batches` is None."""
        self._batches = batches or OneByOne()
        self._layers = layers or LayerMemory()
        self._detector: Detector | None = None
        self._finding = threading.Lock()
        self.fingerprint = WARP_VERSION if self._batches.device == "cpu" else f"{WARP_VERSION}-{self._batches.device}"
        self.batch_size, self.batch_pixels = self._batches.most_frames, self._batches.most_pixels

    def prepare(
        self, references: Sequence[Reference], others: np.ndarray | None = None
    ) -> WarpPortrait | PeoplePortrait:
        if not references:
            raise PortraitError(ErrorCode.BAD_IMAGE, "A portrait needs a reference.", "Give at least one photograph.")
        return self.photo_of(references[0]) if others is None else self.people_of(references[0], others)

    def photo_of(self, reference: Reference) -> WarpPortrait:
        """What is kept of a photo of one person.

        Raises:
            PortraitError: BAD_IMAGE, BAD_POINTS.
        """
        image, matte, head = self.person_of(reference)
        shown = levels(image)
        plate = finished(build_plate(shown, matte, head))
        return WarpPortrait(image, plate, matte, head, hair_by_example(shown, matte, head), self._layers)

    def prepare_frame(self, frame: Reference) -> WarpPortrait:
        image, matte, head = self.person_of(frame, _FRAME_GUIDE_PIXELS)
        shown = levels(image)
        plate = finished(smooth_plate(shown, matte, head))
        return WarpPortrait(image, plate, matte, head, quick_hair(shown, matte, head), self._layers)

    def people_of(self, reference: Reference, others: np.ndarray) -> PeoplePortrait:
        """What is kept of a photo of several people: each before a picture of those behind.

        Args:
            others: (F, 70, 3) points of all faces but the first.

        Raises:
            PortraitError: BAD_IMAGE, BAD_POINTS.
        """
        image = checked_image(reference.image)
        height, width = image.shape[:2]
        faces = within_reach(checked_points(np.stack([reference.points, *others])), width, height)
        rgb = np.ascontiguousarray(eight_bit(image[..., :3]))
        marked = [self._marked(rgb, points) for points in faces]
        meshes = [face.mesh for face in marked]
        outlines = [mesh[list(OVAL), :2] for mesh in meshes]
        mattes, order = divided(rgb, self._matte_of(image, rgb, faces=marked), outlines)
        standing = taken_apart(levels(image), [mattes[face] for face in order], [outlines[face] for face in order])
        people = []
        for face, person in zip(order, standing, strict=True):
            shown = image if face == order[-1] else finished(person.shown)
            seen = np.ascontiguousarray(eight_bit(shown[..., :3]))
            head = build_head_mesh(faces[face], meshes[face], seen, person.matte)
            hair = hair_by_example(person.shown, person.matte, head)
            photo = WarpPortrait(shown, finished(person.plate), person.matte, head, hair, self._layers)
            people.append(Person(face, photo, photo))
        return PeoplePortrait(tuple(people))

    def person_of(
        self, reference: Reference, guide_pixels: int = GUIDE_PIXELS
    ) -> tuple[np.ndarray, np.ndarray, HeadMesh]:
        """A reference's pixels, the person's matte in it, (H, W) float32, and the head's geometry.

        Args:
            guide_pixels: of the matte, see `person_matte`.

        Raises:
            PortraitError: BAD_IMAGE, BAD_POINTS.
        """
        image = checked_image(reference.image)
        height, width = image.shape[:2]
        points = within_reach(checked_points(reference.points[None])[0], width, height)
        rgb = np.ascontiguousarray(eight_bit(image[..., :3]))
        face = self._marked(rgb, points, reference.mesh478)
        # A face whose mesh is known was followed through a shot: its matte comes about in one way in all its frames.
        faces = () if reference.mesh478 is not None else (face,)
        matte = self._matte_of(image, rgb, guide_pixels, faces, reference.people)
        head = build_head_mesh(with_depth(points), face.mesh, rgb, matte)
        return np.ascontiguousarray(image), matte, head

    def _marked(self, image: np.ndarray, points: np.ndarray, known: np.ndarray | None = None) -> MarkedFace:
        """The face that points (70, 2 or 3) mark; its dense mesh is found where it is not known."""
        found = self._found_mesh(image, points) if known is None else known
        return MarkedFace(mesh_near(with_depth(points), found), found is not None)

    def _matte_of(
        self, image: np.ndarray, rgb: np.ndarray, guide_pixels: int = GUIDE_PIXELS, faces: Sequence[MarkedFace] = (),
        seen: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """How far each pixel (H, W) float32 shows people; what is transparent shows none."""
        matte = person_matte(rgb, guide_pixels, faces, seen)
        return matte * (levels(image[..., 3]).astype(np.float32) / 255) if image.shape[2] == 4 else matte

    def render(
        self, portrait: WarpPortrait | PeoplePortrait, points: np.ndarray, size: tuple[int, int], matte: bool,
        body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        size, kernels = (int(size[0]), int(size[1])), self._batches.kernels
        if isinstance(portrait, PeoplePortrait):
            return portrait.frames(self._batches, points, size, matte, body, others, self._mover)

        def drawn(targets: np.ndarray, bodies: np.ndarray | None) -> np.ndarray:
            scene = self._batches.layers(portrait, size, portrait.scene_bytes(size), lambda: portrait.scene(size))
            motion = motion_of(scene, targets, bodies)
            return self._batches.frames(
                len(targets), size[0] * size[1], lambda part: draw_frames(kernels, scene, motion.only(part), matte)
            )

        return portrait.frames(points, size, matte, body, drawn)

    def render_layers(
        self, portrait: WarpPortrait | PeoplePortrait, points: np.ndarray, size: tuple[int, int], matte: bool,
        layers: Sequence[str], body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        size, kernels = (int(size[0]), int(size[1])), self._batches.kernels
        if isinstance(portrait, PeoplePortrait):
            return portrait.layered(self._batches, points, size, matte, layers, body, others, self._mover)

        def drawn(targets: np.ndarray, bodies: np.ndarray | None) -> np.ndarray:
            scene = self._batches.layers(portrait, size, portrait.scene_bytes(size), lambda: portrait.scene(size))
            motion, following = with_following(motion_of(scene, targets, bodies), layers)

            def draw(part: slice) -> Array:
                moved = move(kernels, scene, motion.only(part))
                return draw_layers(kernels, scene, moved, following and following.only(part), layers, matte)

            return self._batches.frames(len(motion), size[0] * size[1], draw)

        return portrait.layered(points, size, matte, layers, body, drawn)

    def _mover(self, _: Person, scene: Scene, motion: Motion, points: np.ndarray) -> Moved:
        return move(self._batches.kernels, scene, motion)

    def _found_mesh(self, image: np.ndarray, points: np.ndarray) -> np.ndarray | None:
        """The dense mesh of the face at the points, where MediaPipe sees one."""
        with self._finding:
            if self._detector is None:
                self._detector = MediaPipeDetector()
            meshes = [face.mesh478 for face in self._detector.detect(image) if face.mesh478 is not None]
        return next((mesh for mesh in meshes if is_face_of(mesh, points)), None)


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
