# SPDX-License-Identifier: GPL-3.0-or-later
"""What the frames of a photo are drawn from, gathered on the main thread: for a render here, and for a farm job."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from portrait_shared.body import check_body
from portrait_shared.bounds import check_points
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import COLORSPACES
from portrait_shared.other_faces import OtherFaces, checked_others
from portrait_shared.protocol.references import ReferenceImage

from ..blender.scene_time import scene_fps
from ..driving.rest import let_broken_rest
from ..plane.color_spaces import color_spaces
from ..portraits import groups, likeness, photo, photo_depth
from ..portraits.portrait_parts import check_plane
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.armature import rest_points
from ..rig.sampling import RigSample, check_rig, other_faces, sample_until


class PhotoInputs:
    """Photo, landmarks and settings at once; what the rigs say at each frame as it is sampled.

    Attributes:
        frames: N frames of the scene.
        photo_file: where the photo's file is.
        image: (H, W, 3 or 4) uint8, as the portrait shows it.
        photo_digest: what frames name as their photo: the content hash of `image`, whatever their depth.
        points: (70, 3) float32 pixels, landmarks of the first face.
        further_faces: (F, 70, 3) those of the further ones; None where there are none.
        further: further photos.
        personal: what tunes the engine.
        engine: the server's own choice where None.
        depth, size, matte, layers, colorspace: of the frames' files.
        disclosure: what the frames show of having been made.
        times: when the frames are shown.
        consents: of each face, the first one first.
        notes: what the user should know, in sentences.
    """

    def __init__(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, frames: Sequence[int]) -> None:
        """
        Args:
            portrait: the leading one of the photo's.

        Raises:
            PortraitError: SCENE for a broken rig or plane; as `photo.check`, `likeness.further_references` and
                `likeness.personal_file`.
        """
        check_plane(scene, portrait)
        for member in portrait.members:
            check_rig(scene, member.rig)
            let_broken_rest(scene, member)
        picture = photo.check(portrait.photo, tuple(portrait.size))
        self.frames, self.photo_file = list(frames), photo.found_file(picture)
        self.image, self.depth = photo.pixels(picture), portrait.depth
        self.photo_digest = image_digest(self.image)
        self._stored = photo.stored_file(picture) if self.depth == 16 else None
        self.points = rest_points(portrait.rig, portrait.space)
        self.further_faces = groups.further_rest(portrait)
        self.further, self.personal = likeness.further_references(portrait), likeness.personal_file(portrait)
        self.engine = portrait.engine or None
        self.size, self.matte, self.layers = portrait.frame_size, portrait.matte, portrait.layers
        self.colorspace = color_spaces().written if self.layers else COLORSPACES[0]
        self.disclosure = portrait.disclosure
        self.times = FrameTimes(scene_fps(scene))
        self.consents = portrait.consents
        self.notes = [note for member in portrait.members for note in member.consent.notes]
        if self.photo_digest != portrait.photo_digest:
            self.notes.append(
                f"The photo {portrait.photo.name} has changed since its face was found. If the rig does not fit any more, "
                "choose Other Face."
            )
        self._rows: dict[int, RigSample] = {}

    @property
    def samples(self) -> list[RigSample]:
        """(N,) what the rigs say at each frame, once `sample` is through."""
        return [self._rows[frame] for frame in self.frames]

    @property
    def track(self) -> np.ndarray:
        """(N, 70, 3) float32 pixels of the first face."""
        return np.stack([sample.points for sample in self.samples])

    @property
    def body(self) -> np.ndarray:
        """(N, 2), see `portrait_shared.body`."""
        return np.stack([sample.body for sample in self.samples])

    @property
    def driven_faces(self) -> OtherFaces | None:
        """N frames of the further faces; None where there are none."""
        return other_faces(self.samples)

    def sample(self, deadline: float, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bool:
        """Samples the rigs until `deadline` (time.monotonic), at one frame at least; True once all frames are there.

        Raises:
            PortraitError: CANCELLED where faces have come or gone; SCENE for a broken rig; BAD_TRACK for landmarks that
                cannot be drawn.
        """
        rigs = groups.rigs(portrait)
        count = 0 if self.further_faces is None else len(self.further_faces)
        if len(rigs) != 1 + count:
            raise PortraitError(ErrorCode.CANCELLED, "Faces of the photo were added or removed while it was worked on.")
        for rig in rigs:
            check_rig(scene, rig)
        wanted = [frame for frame in self.frames if frame not in self._rows]
        self._rows |= sample_until(deadline, scene, portrait.rig, portrait.space, wanted, rigs[1:])
        if len(self._rows) < len(self.frames):
            return False
        check_points(self.track, self.frames, code=ErrorCode.BAD_TRACK)
        check_body(self.body, self.frames, code=ErrorCode.BAD_TRACK)
        checked_others(self.driven_faces, self.frames, tuple(portrait.size), count)
        return True

    def reference(self, reader: photo_depth.Reader) -> tuple[ReferenceImage, str]:
        """The photo that is drawn from, and what the user should know of it; or an empty text. Touches nothing of Blender's.

        Args:
            reader: of the photo's file, where frames have 16 bits.

        Raises:
            PortraitError: as `photo_depth.with_16_bits`.
        """
        if self.depth == 8:
            return ReferenceImage(self.image, self.points), ""
        deep, note = photo_depth.with_16_bits(reader, self.image, self._stored)
        self._stored = None
        return ReferenceImage(deep, self.points), note
