# SPDX-License-Identifier: GPL-3.0-or-later
"""What a portrait's preview draws: the photo or the filmed frame, how it is drawn, and the face's pose."""

from __future__ import annotations

from typing import Any

import bpy
from portrait_shared.protocol.references import ReferenceImage

from ..portraits import groups, likeness, photo, shot_parts
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.armature import rest_points
from ..rig.replaced_sliders import AS_FILMED
from ..rig.sampling import RigSample
from . import on_air
from .preview_worker import Subject
from .shot_frames import FilmedFrame


class CurrentSubject:
    """What the next picture is drawn of; kept, since reading a photo takes a while.

    Attributes:
        subject: as it was last asked for; None before that, and where nothing is drawn.
    """

    def __init__(self) -> None:
        self.subject: Subject | None = None
        self._key: tuple[Any, ...] = ()

    def of(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> Subject:
        """It at this frame, anew only where the photo, or how it is drawn, has changed.

        Raises:
            PortraitError: the photo, or the points of a shot, cannot be read.
        """
        key = _key_of(scene, portrait)
        if self.subject is None or key != self._key:
            references: tuple[ReferenceImage, ...] = ()
            filmed = None
            if portrait.shot.is_filmed:
                index = scene.frame_current - portrait.shot.start
                points = shot_parts.points_of(portrait).track.points[index]
                filmed = FilmedFrame(portrait.shot.file, index, points)
            elif self.subject is not None and key[:4] == self._key[:4]:
                references = self.subject.references
            else:
                points = rest_points(portrait.rig, portrait.space)
                first = ReferenceImage(photo.pixels(photo.check(portrait.photo, tuple(portrait.size))), points)
                references = (first, *likeness.further_references(portrait))
            self.subject = Subject(
                references, filmed, groups.further_rest(portrait), likeness.personal_file(portrait), portrait.engine or None,
                portrait.preview_frame_size, portrait.matte, on_air.disclosure(portrait),
            )  # fmt: skip
            self._key = key
        return self.subject

    def is_current(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bool:
        """Whether it is still what is to be drawn; reads nothing."""
        return _key_of(scene, portrait) == self._key

    def forget(self) -> None:
        """Nothing is drawn until it is asked for again."""
        self.subject, self._key = None, ()


def drawn_sample(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, row: RigSample) -> RigSample | None:
    """What is to be drawn: of a shot the filmed face, changed as the rig says; None where nothing is changed.

    Raises:
        PortraitError: as `shot_parts.points_of`.
    """
    shot = portrait.shot
    if not shot.is_filmed:
        return row
    if scene.frame_current not in shot.frames:
        return None
    found, index = shot_parts.points_of(portrait), scene.frame_current - shot.start
    targets = found.targets([index], [row])
    if not found.changed([index], targets)[0]:
        return None
    return row._replace(points=targets[0], replaced=AS_FILMED)


def _key_of(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> tuple[Any, ...]:
    others = groups.further_rest(portrait)
    return (
        portrait.photo.name if portrait.photo is not None else "", portrait.photo_digest,
        rest_points(portrait.rig, portrait.space).tobytes(), likeness.digest(portrait), portrait.engine,
        portrait.preview_frame_size, portrait.matte, b"" if others is None else others.tobytes(), on_air.disclosure(portrait),
        scene.frame_current if portrait.shot.is_filmed else None,
    )  # fmt: skip
