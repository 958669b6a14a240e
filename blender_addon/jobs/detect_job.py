# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the face on a new portrait's photo and puts the rig on it."""

from __future__ import annotations

from collections.abc import Callable
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
from ..portraits import face_choice, photo, portrait_parts
from .job import Job

_NO_FACE_REMEDY: Final = "Place the points by hand, or use a picture with a well lit face, seen from the front."


class DetectJob(Job):
    """Asks the server for the landmarks of one portrait's photo.

    Args:
        again: a rig that is there is put on the face that is found; its keys stay.

    Attributes:
        face_count: how many faces the photo has, once known.
    """

    label = "Find Face"

    def __init__(self, uid: str, launch: server.Launch, *, again: bool = False) -> None:
        super().__init__(uid, launch)
        self.face_count = 0
        self._again = again

    def begin(self) -> None:
        scene, portrait = self.portrait()
        portrait_parts.check_plane(scene, portrait)
        self._image = photo.pixels(photo.check(portrait.photo, tuple(portrait.size)))
        self._face = portrait.face

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        try:
            detection = client.detect(np.ascontiguousarray(self._image[..., :3]), face=self._face)
        except PortraitError as error:
            if error.code is not ErrorCode.NO_FACE:
                raise
            raise SceneError(error.message, _NO_FACE_REMEDY, Fix.PLACE_POINTS, error.code) from error
        if not cancelled():
            post(detection)

    def handle(self, event: Detection) -> None:
        scene, portrait = self.portrait()
        self.face_count = event.face_count
        if portrait.rig is not None and not self._again:
            raise SceneError("The portrait has a rig already.", "Delete it first.", Fix.REBUILD)
        portrait_parts.check_plane(scene, portrait)
        layer = bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]
        with bpy.context.temp_override(scene=scene, view_layer=layer):
            if portrait.rig is not None:
                portrait_parts.move_rig(bpy.context, portrait, event.points)
            else:
                portrait_parts.attach_rig(bpy.context, portrait, event.points)
                if is_untouched(layer, portrait.plane):
                    select_only(layer, portrait.rig)
        portrait.photo_digest = image_digest(self._image)
        self.note = f"Face found by {event.detector}"
        if event.face_count > 1:
            self.note = f"{event.face_count} faces found; {face_choice.words(self._face)} is used"
