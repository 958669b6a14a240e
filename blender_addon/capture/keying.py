# SPDX-License-Identifier: GPL-3.0-or-later
"""A take as ordinary keys on a portrait's rig, as few as keep to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import bpy
import numpy as np
from portrait_shared.landmarks import NAMES

from ..blender.scene_time import notes_on_keys
from ..curves.reduce import SLIDER_RANGE, Keys, evaluate, reduce
from ..curves.rig_curves import SLIDER_GROUP, Curve, bone_of, bone_path, property_path, replace_range, resting
from ..plane.plane_space import PlaneSpace
from ..rig import head_turns, key_checks, key_notes
from ..rig.armature import HEAD_BONE, face_width, rest_points
from ..rig.blendshapes import shape_offsets
from ..rig.sampling import check_rig
from .head_pose import PIXELS_TO_HEAD
from .takes import Take

_MARKER: Final = "No face"
_CUT_MARKER: Final = "Cut"
# A weight's tolerance follows from how far it moves a point; these keep it within reason.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.004, 0.08


@dataclass(frozen=True)
class Report:
    """What was keyed.

    Attributes:
        keys, samples: how many keys were set, and how many values they stand for.
        error: the largest distance of a curve from what was captured, pixels of the portrait.
        frames: (first, last).
        notes: what the user should know, in sentences.
    """

    keys: int
    samples: int
    error: float
    frames: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def line(self) -> str:
        share = 100 * self.keys / max(self.samples, 1)
        return (
            f"Frames {self.frames[0]}–{self.frames[1]}: {self.keys} keys, {share:.0f} % of {self.samples} values, "
            f"at most {self.error:.2f} px off"
        )


def has_sliders(rig: bpy.types.Object) -> bool:
    """Whether the rig has sliders: one that an older version made has points alone."""
    return "jawOpen" in rig


def key_take(
    scene: bpy.types.Scene, rig: bpy.types.Object, space: PlaneSpace, take: Take, tolerance_percent: float,
    name: str, markers: bool = True,
) -> Report:  # fmt: skip
    """Writes a new action; the one before stays in the file.

    Args:
        tolerance_percent: how far a point may be from what was captured, in hundredths of the face's width.
        name: of the action.
        markers: mark frames without a face, and cuts, on the scene's timeline.

    Raises:
        PortraitError: SCENE for a rig that cannot be keyed; nothing is changed then.
    """
    check_rig(scene, rig)
    key_checks.check_animation(rig)
    rest = rest_points(rig, space).astype(np.float64)
    tolerance = tolerance_percent / 100 * face_width(rest)
    notes = [*take.notes, *notes_on_keys(scene)]
    gathered = _Gathered(take.frames, take.breaks)
    offsets = take.offsets
    for slider, values in take.sliders.items():
        if slider in rig:
            gathered.add(property_path(slider), 0, SLIDER_GROUP, values, _LEAST_WEIGHT, 0.0)
    if has_sliders(rig):
        _gather_weights(gathered, take, rest, tolerance)
    elif take.weights:
        offsets = take.on_points(rest)
        notes.append("This rig has no face controls, so its points were keyed.")
    if offsets is not None:
        _gather_points(gathered, offsets, space, tolerance)
    if take.angles is not None and (said := head_turns.use_angles(rig)):
        notes.append(said)
    turn, _ = head_turns.turn_channel(rig)
    _gather_head(gathered, rig, take, space, tolerance, face_width(rest))
    owned = _owned_paths(take, offsets is not None, turn)
    first, last = int(take.frames[0]), int(take.frames[-1])
    curves = [*gathered.curves, *_resting(rig, gathered.curves, owned, first, last)]
    paths = owned | {curve.path for curve in curves}
    notes += key_notes.over_strips(rig, paths, first, last)
    _, locked = replace_range(rig, name, curves, owned.__contains__, first, last)
    notes += [*key_notes.left_alone(locked), *key_notes.unseen(rig, paths)]
    _mark(scene, rig, take, markers)
    return Report(gathered.key_count, gathered.sample_count, gathered.error, (first, last), tuple(notes))


class _Gathered:
    """Collects the curves of a take, and how closely they follow it."""

    def __init__(self, frames: np.ndarray, breaks: np.ndarray) -> None:
        self.curves: list[Curve] = []
        self.error = 0.0
        self.sample_count = 0
        self._frames, self._breaks = frames, breaks

    @property
    def key_count(self) -> int:
        return sum(len(curve.keys) for curve in self.curves)

    def add(
        self, path: str, index: int, group: str, values: np.ndarray, tolerance: float, pixels: float,
        limits: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        """Reduces values on all frames to a curve.

        Args:
            tolerance: in the values' unit.
            pixels: how far one unit moves a point.
            limits: see `reduce`.
        """
        keys: Keys = reduce(self._frames, values, tolerance, self._breaks, limits)
        self.error = max(self.error, float(np.abs(evaluate(keys, self._frames) - values).max()) * pixels)
        self.sample_count += len(values)
        self.curves.append(Curve(path, index, group, keys))


def _gather_weights(gathered: _Gathered, take: Take, rest: np.ndarray, tolerance: float) -> None:
    shapes = shape_offsets(rest)
    for name, values in take.weights.items():
        reach = float(np.linalg.norm(shapes[name], axis=1).max())
        allowed = float(np.clip(tolerance / max(reach, 1e-6), _LEAST_WEIGHT, _MOST_WEIGHT))
        if values.max() <= allowed:
            continue
        gathered.add(property_path(name), 0, SLIDER_GROUP, values, allowed, reach, SLIDER_RANGE)


def _gather_points(gathered: _Gathered, offsets: np.ndarray, space: PlaneSpace, tolerance: float) -> None:
    """A point that never goes further than the tolerance gets no keys."""
    for index, name in enumerate(NAMES):
        values = offsets[:, index] @ PIXELS_TO_HEAD.T
        if np.linalg.norm(values, axis=1).max() <= tolerance:
            continue
        for axis in range(3):
            gathered.add(bone_path(name, "location"), axis, name, values[:, axis] * space.metres_per_pixel,
                         tolerance * space.metres_per_pixel, 1 / space.metres_per_pixel)  # fmt: skip


def _gather_head(
    gathered: _Gathered, rig: bpy.types.Object, take: Take, space: PlaneSpace, tolerance: float, face: float
) -> None:
    if take.angles is not None:
        turn, _ = head_turns.turn_channel(rig)
        for axis, values in enumerate(head_turns.turn_values(rig, take.angles).T):
            # The chin is about as far from the pivot as the face is wide.
            gathered.add(turn, axis, HEAD_BONE, values, tolerance / face, face)
    if take.moves is not None:
        values = take.moves @ PIXELS_TO_HEAD.T * space.metres_per_pixel
        for axis in range(3):
            gathered.add(bone_path(HEAD_BONE, "location"), axis, HEAD_BONE, values[:, axis],
                         tolerance * space.metres_per_pixel, 1 / space.metres_per_pixel)  # fmt: skip


def _resting(rig: bpy.types.Object, curves: Sequence[Curve], owned: set[str], first: int, last: int) -> list[Curve]:
    """Curves at rest for channels that the take leaves at rest, where they are set to something else without a key."""
    there = {(curve.path, curve.index) for curve in curves}
    channels = [
        (path, index, bone_of(path) or SLIDER_GROUP)
        for path in sorted(owned)
        for index in range(3 if bone_of(path) else 1)
        if (path, index) not in there
    ]
    return resting(rig, channels, first, last)


def _owned_paths(take: Take, points: bool, turn: str) -> set[str]:
    owned = {property_path(name) for name in (*take.owned, *take.sliders)}
    if points:
        owned |= {bone_path(name, "location") for name in NAMES}
    if take.angles is not None:
        owned.add(turn)
    if take.moves is not None:
        owned.add(bone_path(HEAD_BONE, "location"))
    return owned


def _mark(scene: bpy.types.Scene, rig: bpy.types.Object, take: Take, wanted: bool) -> None:
    """Marks gaps and cuts on the timeline, in place of the markers of this rig's earlier captures there."""
    first, last = int(take.frames[0]), int(take.frames[-1])
    reach = (min([first, *(a for a, _ in take.missing)]), max([last, *(b for _, b in take.missing)]))
    ending = f"({rig.name})"
    for marker in list(scene.timeline_markers):
        ours = marker.name.startswith((_MARKER, _CUT_MARKER)) and marker.name.endswith(ending)
        if ours and reach[0] <= marker.frame <= reach[1]:
            scene.timeline_markers.remove(marker)
    if not wanted:
        return
    for a, b in take.missing:
        scene.timeline_markers.new(f"{_MARKER} {a}–{b} {ending}" if b > a else f"{_MARKER} {ending}", frame=a)
    for frame in take.cuts:
        scene.timeline_markers.new(f"{_CUT_MARKER} {ending}", frame=frame)
