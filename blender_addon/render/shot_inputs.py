# SPDX-License-Identifier: GPL-3.0-or-later
"""What the frames of a filmed shot are drawn from, gathered on the main thread: for a render here, and for a farm job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode
from portrait_shared.frames.frame_numbers import ranges_of

from ..driving.rest import let_broken_rest
from ..plane.color_spaces import color_spaces
from ..portraits import likeness, shot_parts
from ..portraits.portrait_parts import check_plane
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.sampling import RigSample, check_rig, sample_until
from . import frame_keys
from .job_inputs import disclosure_words


class ShotInputs:
    """Shot, points and settings at once; what the rig makes of them as it is sampled.

    Attributes:
        asked: frames of the scene that the shot has.
        frames: those of them that are drawn, once `sample` is through: the changed ones; all where files have layers.
        layers: of the frames' files.
        notes: what the user should know, in sentences.
        consents: of the face.
    """

    def __init__(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, frames: Sequence[int]) -> None:
        """
        Args:
            frames: of the scene.

        Raises:
            PortraitError: SCENE where the shot has none of the frames, for a broken rig or plane; as
                `shot_parts.check_there`, `shot_parts.points_of` and `likeness.personal_file`.
        """
        shot = portrait.shot
        self.asked = [frame for frame in frames if frame in shot.frames]
        if not self.asked:
            shot.within(range(min(frames), max(frames) + 1))
        check_plane(scene, portrait)
        check_rig(scene, portrait.rig)
        shot_parts.check_there(portrait)
        let_broken_rest(scene, portrait)
        self.layers, self.consents = portrait.layers, portrait.consents
        self.notes = portrait.consent.notes
        self.frames: list[int] = []
        self._filmed, self._start = shot_parts.points_of(portrait), shot.start
        self._words = _command(portrait)
        self._state = frame_keys.rig_state(scene, portrait.rig, portrait.space)
        self._keys: dict[int, bytes] = {}
        self._rows: dict[int, RigSample] = {}

    @property
    def by_key(self) -> dict[bytes, RigSample]:
        """What was sampled, by the frame's key, see `frame_keys`."""
        return {self._keys[frame]: row for frame, row in self._rows.items()}

    def sample(self, deadline: float, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bool:
        """Samples the rig until `deadline` (time.monotonic), once for all frames at which nothing of it differs; True once
        all frames are there.

        Raises:
            PortraitError: SCENE for a broken rig; BAD_TRACK for landmarks that cannot be drawn.
        """
        check_rig(scene, portrait.rig)
        waiting = [frame for frame in self.asked if frame not in self._keys]
        for frame, key in frame_keys.frame_keys(portrait.rig, self._state, waiting):
            self._keys[frame] = key
            if time.monotonic() > deadline:
                return False
        first_of = {key: frame for frame, key in reversed(self._keys.items())}
        wanted = [frame for frame in first_of.values() if frame not in self._rows]
        if wanted:
            self._rows |= sample_until(deadline, scene, portrait.rig, portrait.space, wanted)
        if len(self._rows) < len(first_of):
            return False
        samples = [self._rows[first_of[self._keys[frame]]] for frame in self.asked]
        rows = [frame - self._start for frame in self.asked]
        targets = self._filmed.targets(rows, samples)
        check_points(targets, self.asked, code=ErrorCode.BAD_TRACK)
        changed = self._filmed.changed(rows, targets)
        # Frames as filmed have layers, too, such as a matte.
        needed = [True] * len(rows) if self.layers else changed
        self.frames = [frame for frame, is_needed in zip(self.asked, needed, strict=True) if is_needed]
        points = self._filmed.track.points.copy()
        points[rows] = targets
        self._target = replace(
            self._filmed.track,
            points=points,
            start=self._start,
            extra={name: held for name, held in self._filmed.track.extra.items() if name == "timecode"},
        )
        return True

    def words(self, folder: Path) -> list[str]:
        """What a `portrait` command is asked for, once `sample` is through. Touches nothing of Blender's.

        Args:
            folder: where the track is written.
        """
        track = folder / "target.npz"
        self._target.save(track)
        return [*self._words, "--track", str(track), f"--frames={ranges_of(self.frames)}"]


def _command(portrait: PORTRAIT_PG_portrait) -> list[str]:
    """What is asked for but the frames."""
    words = ["--plate", str(portrait.shot.file), "--plate-points", str(portrait.shot.points_path),
             "--depth", str(portrait.depth)]  # fmt: skip
    if portrait.layers:
        words += ["--format", "exr", "--layers", ",".join(portrait.layers), "--colorspace", color_spaces().written]
    words += disclosure_words(portrait.disclosure)
    if portrait.engine:
        words += ["--engine", portrait.engine]
    if likeness.personal_file(portrait) is not None:
        words += ["--personal", str(likeness.personal_path(portrait))]
    return words
