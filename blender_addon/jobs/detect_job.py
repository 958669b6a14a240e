# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the faces on a new portrait's photo and puts a rig on one of them, or on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import bpy
import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import Detection

from ..blender.problems import Fix, SceneError
from ..blender.selection import is_untouched, select_only
from ..connection import server
from ..portraits import face_choice, groups, photo, portrait_parts
from ..portraits.groups import MAX_FACES
from ..rig.sampling import view_layer
from .job import Job

_NO_FACE_REMEDY: Final = "Place the points by hand, or use a picture with a well lit face, seen from the front."


@dataclass(frozen=True)
class _AllFaces:
    """Landmarks of all faces of the photo, from the left, (70, 3) pixels each."""

    faces: tuple[np.ndarray, ...]


class DetectJob(Job):
    """Asks the server for the landmarks of one portrait's photo. Of several faces one gets the rig; the others are kept.

    Args:
        again: a rig that is there is put on the face that is found; its keys stay.
        every_face: all others get a portrait of their own.

    Attributes:
        face_count: how many faces the photo has, once known.
    """

    label = "Find Face"

    def __init__(self, uid: str, launch: server.Launch, *, again: bool = False, every_face: bool = False) -> None:
        super().__init__(uid, launch)
        self.face_count = 0
        self._again, self._every_face = again, every_face

    def begin(self) -> None:
        scene, portrait = self.portrait()
        portrait_parts.check_plane(scene, portrait)
        if portrait.shot.is_filmed:
            raise SceneError("The portrait was filmed: its points are those of the shot.", "Find them again.",
                             Fix.FIND_POINTS)  # fmt: skip
        self._image = photo.pixels(photo.check(portrait.photo, tuple(portrait.size)))
        self._face = portrait.face

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        image = np.ascontiguousarray(self._image[..., :3])
        try:
            detection = client.detect(image, face=self._face)
        except PortraitError as error:
            if error.code is not ErrorCode.NO_FACE:
                raise
            raise SceneError(error.message, _NO_FACE_REMEDY, Fix.PLACE_POINTS, error.code) from error
        if cancelled():
            return
        post(detection)
        if detection.face_count > 1:
            numbers = range(1, min(detection.face_count, MAX_FACES) + 1)
            faces = tuple(client.detect(image, face=number).points for number in numbers if not cancelled())
            if not cancelled():
                post(_AllFaces(faces))

    def handle(self, event: Detection | _AllFaces) -> None:
        if isinstance(event, _AllFaces):
            self._keep_all(event.faces)
            return
        scene, portrait = self.portrait()
        self.face_count = event.face_count
        if portrait.rig is not None and not self._again:
            raise SceneError("The portrait has a rig already.", "Delete it first.", Fix.REBUILD)
        groups.check_face_free([member for member in portrait.members if member != portrait], event.points)
        portrait_parts.check_plane(scene, portrait)
        layer = view_layer(scene)
        with bpy.context.temp_override(scene=scene, view_layer=layer):
            if portrait.rig is not None:
                portrait_parts.move_rig(bpy.context, portrait, event.points)
            else:
                portrait_parts.attach_rig(bpy.context, portrait, event.points)
                if is_untouched(layer, portrait.plane):
                    select_only(layer, portrait.rig)
        for member in portrait.members:
            member.photo_digest = image_digest(self._image)
        self.note = f"Face found by {event.detector}"
        if event.face_count > 1:
            self.note = f"{event.face_count} faces found; {face_choice.words(self._face)} is used"

    def _keep_all(self, faces: tuple[np.ndarray, ...]) -> None:
        scene, portrait = self.portrait()
        lead = portrait.lead
        lead.found.clear()
        for points in faces:
            lead.found.add().set_points(points)
        if self._every_face:
            with bpy.context.temp_override(scene=scene, view_layer=view_layer(scene)):
                for _, points in groups.without_rig(portrait):
                    portrait_parts.add_face(bpy.context, self.uid, points)
            self.note = f"{len(faces)} faces found; each has a rig"
