# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake: what other rigs make a portrait do, as ordinary keys on its own rig; the mapping is then switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import bpy
import numpy as np

from ..blender.problems import SceneError
from ..curves.reduce import SLIDER_RANGE, reduce
from ..curves.rig_curves import SLIDER_GROUP, Curve, bone_path, property_path, replace_range
from ..rig import key_notes
from ..rig.armature import HEAD_BONE, face_width, rest_points
from ..rig.key_checks import check_animation
from ..rig.sampling import sample_rows, view_layer
from . import mechanism, sliders

_WEIGHT_TOLERANCE: Final = 0.5  # of a point's tolerance: 1 of a slider moves points by less than half the face's width


@dataclass(frozen=True)
class Baked:
    """What a bake has made.

    Attributes:
        keys, samples: how many keys were set, and how many values they stand for.
        frames: (first, last).
        notes: what the user should know, in sentences.
    """

    keys: int
    samples: int
    frames: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        words = f"Frames {self.frames[0]}–{self.frames[1]}: {self.keys} keys for {self.samples} values"
        return f"{words}; frames before and after are not driven any more"


def bake(scene: bpy.types.Scene, portrait: Any, frames: range, tolerance_percent: float) -> Baked:
    """Keys every driven bone and slider; its own keys and what drives it are added up.

    Args:
        tolerance_percent: how far a point may be from where it was driven, in hundredths of the face's width.

    Raises:
        PortraitError: SCENE for a rig that cannot be keyed, or that nothing drives; nothing is changed then.
    """
    rig, driving = portrait.rig, portrait.driving
    bones = list(dict.fromkeys(bone.name for bone, each in mechanism.constraints_of(rig) if not each.mute))
    driven = sliders.driven_sliders(rig) if driving.enabled else []
    if not bones and not driven:
        raise SceneError("Nothing drives this portrait now.", "Map drivers and set their rest, or turn Driven on.")
    check_animation(rig)
    places, turns, sizes, weights = _sampled(scene, portrait, frames, bones, driven)
    tolerance = tolerance_percent / 100 * face_width(rest_points(rig, portrait.space))
    metres = tolerance * portrait.space.metres_per_pixel
    values: dict[tuple[str, str], tuple[np.ndarray, float]] = {}
    for column, name in enumerate(bones):
        values[name, "location"] = places[:, column], metres
    if HEAD_BONE in bones:
        radians = tolerance_percent / 100  # the chin is about as far from the pivot as the face is wide
        values[HEAD_BONE, "rotation_euler"] = turns, radians
        values[HEAD_BONE, "scale"] = sizes, radians
    curves, at = [], np.array(frames, np.float64)
    for (name, channel), (columns, allowed) in values.items():
        curves += [
            Curve(bone_path(name, channel), axis, name, reduce(at, columns[:, axis], allowed)) for axis in range(3)
        ]
    for column, name in enumerate(driven):
        allowed = _WEIGHT_TOLERANCE * tolerance_percent / 100
        keys = reduce(at, weights[:, column], allowed, limits=SLIDER_RANGE)
        curves.append(Curve(property_path(name), 0, SLIDER_GROUP, keys))
    if HEAD_BONE in bones:
        rig.pose.bones[HEAD_BONE].rotation_mode = "ZXY"
    paths = {curve.path for curve in curves}
    # What drove the frames outside is switched off for them too: the nearest driven pose is nearer to it than rest.
    _, locked = replace_range(
        rig, f"{portrait.name} driven", curves, paths.__contains__, frames[0], frames[-1], keep_outside=False
    )
    driving.enabled = False
    notes = (*key_notes.left_alone(locked), *key_notes.unseen(rig, paths))
    count = sum(len(curve.keys) for curve in curves)
    return Baked(count, len(curves) * len(at), (frames[0], frames[-1]), notes)


def _sampled(
    scene: bpy.types.Scene, portrait: Any, frames: range, bones: list[str], driven: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What is driven, on each frame, after constraints: (T, bones, 3) places, the head's (T, 3) turns and sizes,
    (T, sliders) weights."""
    rig, layer = portrait.rig, view_layer(scene)
    places = np.zeros((len(frames), len(bones), 3))
    turns, sizes, weights = np.zeros((len(frames), 3)), np.ones((len(frames), 3)), np.zeros((len(frames), len(driven)))
    before = None
    for row, _ in enumerate(sample_rows(scene, rig, portrait.space, frames)):
        posed = rig.evaluated_get(layer.depsgraph)
        for column, name in enumerate(bones):
            bone = posed.pose.bones[name]
            local = posed.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
            places[row, column] = local.translation
            if name == HEAD_BONE:
                turn = local.to_quaternion()
                before = turn.to_euler("ZXY", before) if before is not None else turn.to_euler("ZXY")
                turns[row], sizes[row] = before, local.to_scale()
        weights[row] = [float(posed[name]) for name in driven]
    return places, turns, sizes, weights
