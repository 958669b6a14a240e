# SPDX-License-Identifier: GPL-3.0-or-later
"""A LandmarkTrack as keys on the rig: the head's turn on the head's handle, what remains on the points."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Euler, Matrix
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import NAMES, STABLE
from portrait_shared.track import LandmarkTrack

from ..curves.curve_arrays import plain_keys
from ..curves.rig_curves import SLIDER_GROUP, Curve, bone_of, bone_path, property_path
from ..plane.plane_space import PlaneSpace
from ..rig import head_turns
from ..rig.armature import BONE_AXES, HEAD_BONE, check_bones
from ..rig.body_sliders import BODY_SLIDERS
from ..rig.rig_keys import key_whole_rig


def import_track(rig: bpy.types.Object, space: PlaneSpace, track: LandmarkTrack) -> bpy.types.Action:
    """Keys the rig on every frame of a track that lives in the photo's own pixels.

    A track without depth keeps the photo's depth, and moves the points alone.

    Raises:
        PortraitError: SIZE_MISMATCH where the track belongs to a picture of another size; SCENE.
    """
    check_bones(rig)
    if tuple(track.size) != (space.width, space.height):
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"The track's picture is {track.size[0]}x{track.size[1]} pixels, the portrait's "
            f"{space.width}x{space.height}.",
            "Import a track made for this photo.",
        )
    rest = np.array([rig.data.bones[name].head_local for name in NAMES], np.float64)
    points = np.asarray(track.points, np.float64)
    flat = points.shape[2] == 2
    if flat:
        depth = np.broadcast_to(space.to_pixels(rest)[:, 2], points.shape[:2])
        points = np.concatenate((points, depth[..., None]), axis=2)
    target = space.to_local(points)
    frames = np.array(track.frame_numbers)
    pivot = np.array(rig.data.bones[HEAD_BONE].head_local, np.float64)
    locations = np.empty_like(target)
    turns, moves = np.zeros((len(target), 3)), np.zeros((len(target), 3))
    before = Euler((0, 0, 0), "ZXY")
    for row, posed in enumerate(target):
        rotation, move = (np.eye(3), np.zeros(3)) if flat else _rigid(rest - pivot, posed - pivot)
        # In the handle's own axes. Its keys hold the rotation as rounded angles: the points make up for the rounding.
        own = BONE_AXES @ rotation @ BONE_AXES.T
        before = Matrix(own.tolist()).to_euler("ZXY", before)
        rotation = BONE_AXES.T @ np.array(before.to_matrix(), np.float64) @ BONE_AXES
        turns[row], moves[row] = before, BONE_AXES @ move
        unposed = (posed - pivot - move) @ rotation + pivot
        locations[row] = (unposed - rest) @ BONE_AXES.T
    if not flat:
        head_turns.use_angles(rig)
    turn, width = head_turns.turn_channel(rig)
    columns = {bone_path(name, "location"): locations[:, index] for index, name in enumerate(NAMES)}
    if not flat:
        columns[bone_path(HEAD_BONE, "location")] = moves
        columns[turn] = head_turns.turn_values(rig, turns)
    curves = [
        Curve(path, axis, bone_of(path), plain_keys(frames, column), "LINEAR")
        for path, values in columns.items()
        for axis, column in enumerate(values.T)
    ]
    if track.body is not None:
        curves += [
            Curve(property_path(name), 0, SLIDER_GROUP, plain_keys(frames, column), "LINEAR")
            for name, column in zip(BODY_SLIDERS, track.body.T, strict=True)
            if name in rig
        ]
    return key_whole_rig(rig, f"{rig.name} performance", curves, (turn, width), frames[0], frames[-1])


def _rigid(rest: np.ndarray, posed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and move (3,) that bring the stable points nearest to where they are (Kabsch 1976)."""
    a, b = rest[list(STABLE)], posed[list(STABLE)]
    centre_a, centre_b = a.mean(0), b.mean(0)
    u, _, vt = np.linalg.svd((a - centre_a).T @ (b - centre_b))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    rotation = (u @ vt).T
    return rotation, centre_b - rotation @ centre_a
