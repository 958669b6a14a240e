# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without weights: geometry alone moves the pixels of the photograph."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces

from portrait_server.detectors.base import Detector
from portrait_server.detectors.installed_mediapipe import brings_its_networks
from portrait_server.detectors.matte import GUIDE_PIXELS, MarkedFace, person_matte
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.detectors.shared_matte import divided
from portrait_server.drawing.frame import Moved, composite, move
from portrait_server.drawing.hair import hair_by_example
from portrait_server.drawing.layers import draw_layers
from portrait_server.drawing.light import lit
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.people import taken_apart
from portrait_server.drawing.plate import build_plate, plate_of_frame
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import DrivenPhoto, Engine, Reference
from portrait_server.engines.batches import Batches, OneByOne
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.people import PeoplePortrait, Person
from portrait_server.engines.warp_portrait import (
    WarpPortrait,
    checked_image,
    checked_points,
    with_following,
    within_reach,
)
from portrait_server.geometry.face_mesh import OVAL
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_server.geometry.reference_mesh import is_face_of, mesh_near, with_depth
from portrait_server.kernels.base import Array, Kernels
from portrait_server.kernels.levels import finished, levels
from portrait_server.media.images import eight_bit

WARP_VERSION: Final = "warp-14"

_FRAME_GUIDE_PIXELS = 384  # of a frame of a shot, whose background hardly shows where it was hidden


def warp_fingerprint() -> str:
    """Of what this engine draws. The MediaPipe of Python 3.13 reads the dense mesh off by another network."""
    return WARP_VERSION if brings_its_networks() else f"{WARP_VERSION}-tasks"


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
        self.fingerprint = warp_fingerprint()
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
        plate = finished(plate_of_frame(shown, matte, head))
        return WarpPortrait(image, plate, matte, head.shallow(), None, self._layers)

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
        found = self._found_meshes(rgb)
        marked = [self._marked(rgb, points, _mesh_of(found, points)) for points in faces]
        meshes = [face.mesh for face in marked]
        outlines = [mesh[list(OVAL), :2] for mesh in meshes]
        # Whoever is not driven is part of the background, and keeps his share of the matte.
        beside = [mesh[list(OVAL), :2] for mesh in found if not any(is_face_of(mesh, points) for points in faces)]
        mattes, order = divided(rgb, self._matte_of(image, rgb, faces=marked), [*outlines, *beside])
        order = [face for face in order if face < len(faces)]
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

    def driven_photo(self, portrait: WarpPortrait | PeoplePortrait) -> DrivenPhoto:
        return portrait.driven_photo

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
                len(targets), size[0] * size[1],
                lambda part: composite(kernels, scene, _moved(kernels, scene, motion.only(part)), matte),
            )  # fmt: skip

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
                moved = _moved(kernels, scene, motion.only(part))
                return draw_layers(kernels, scene, moved, following and following.only(part), layers, matte)

            return self._batches.frames(len(motion), size[0] * size[1], draw)

        return portrait.layered(points, size, matte, layers, body, drawn)

    def _mover(self, _: Person, scene: Scene, motion: Motion, points: np.ndarray) -> Moved:
        return _moved(self._batches.kernels, scene, motion)

    def _found_mesh(self, image: np.ndarray, points: np.ndarray) -> np.ndarray | None:
        """The dense mesh of the face at the points, where MediaPipe sees one."""
        return _mesh_of(self._found_meshes(image), points)

    def _found_meshes(self, image: np.ndarray) -> list[np.ndarray]:
        """The dense meshes (478, 3) of all faces that MediaPipe sees."""
        with self._finding:
            if self._detector is None:
                self._detector = MediaPipeDetector()
            return [face.mesh478 for face in self._detector.detect(image) if face.mesh478 is not None]


def _moved(kernels: Kernels, scene: Scene, motion: Motion) -> Moved:
    return lit(kernels, scene, move(kernels, scene, motion))


def _mesh_of(meshes: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray | None:
    """Which of several meshes (478, 3) lies on the face that points (70, 2 or 3) mark; None where none does."""
    return next((mesh for mesh in meshes if is_face_of(mesh, points)), None)
