# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer keys for curves that are there: dense ones become editable, within a tolerance."""

from __future__ import annotations

import bpy
import numpy as np
from portrait_shared.landmarks import NAMES

from ..blender import compat
from ..blender.problems import SceneError
from ..curves.reduce import SLIDER_RANGE, evaluate, reduce
from ..curves.rig_curves import Curve, bone_path, breaks_of, property_path, replace_range, sampled
from ..plane.plane_space import PlaneSpace
from ..rig import key_checks, key_notes
from ..rig.armature import HEAD_BONE, face_width, rest_points
from ..rig.blendshapes import ARKIT_NAMES, shape_offsets
from .keying import Report


def clean_keys(rig: bpy.types.Object, space: PlaneSpace, tolerance_percent: float) -> Report:
    """Sets the rig's keys anew, as few as keep the tolerance, in a new action; the one before stays in the file.

    Curves with modifiers, and those that would not get fewer keys, stay as they are.

    Args:
        tolerance_percent: how far a point may move from where it was, in hundredths of the face's width.

    Raises:
        PortraitError: SCENE where there are no keys, or none that may be changed.
    """
    action = key_checks.check_own_action(rig)
    rest = rest_points(rig, space).astype(np.float64)
    reaches = _reaches(rest, space)
    sliders = {property_path(name) for name in ARKIT_NAMES}
    tolerance = tolerance_percent / 100 * face_width(rest)
    curves: list[Curve] = []
    samples = 0
    error = 0.0
    span: list[int] = []
    for fcurve in compat.fcurves_of(rig):
        reach = reaches.get(fcurve.data_path)
        if reach is None or len(fcurve.keyframe_points) < 3 or len(fcurve.modifiers):
            continue
        frames, values = sampled(fcurve)
        limits = SLIDER_RANGE if fcurve.data_path in sliders else None
        keys = reduce(
            frames, values, tolerance / reach, np.array(breaks_of(fcurve), int), limits, exact_ends=True, steps=True
        )
        if len(keys) >= len(fcurve.keyframe_points):
            samples += len(fcurve.keyframe_points)
            continue
        samples += len(frames)
        error = max(error, float(np.abs(evaluate(keys, frames) - values).max()) * reach)
        span += [int(frames[0]), int(frames[-1])]
        group = fcurve.group.name if fcurve.group is not None else ""
        curves.append(Curve(fcurve.data_path, fcurve.array_index, group or HEAD_BONE, keys))
    if not curves:
        raise SceneError(
            f"No curve of the action “{action.name}” can do with fewer keys at this tolerance.",
            "Raise the tolerance, or leave the keys as they are.",
        )
    _, locked = replace_range(
        rig, f"{action.name} cleaned", curves, lambda path: False, min(span), max(span), keep_outside=False
    )
    kept = sum(len(curve.keys) for curve in curves)
    return Report(kept, samples, error, (min(span), max(span)), tuple(key_notes.left_alone(locked)))


def _reaches(rest: np.ndarray, space: PlaneSpace) -> dict[str, float]:
    """How many pixels a point moves when a property changes by 1."""
    reaches = {bone_path(name, "location"): 1 / space.metres_per_pixel for name in (*NAMES, HEAD_BONE)}
    reaches[bone_path(HEAD_BONE, "rotation_euler")] = face_width(rest)
    shapes = shape_offsets(rest)
    for name in ARKIT_NAMES:
        reach = float(np.linalg.norm(shapes[name], axis=1).max())
        if reach > 0:
            reaches[property_path(name)] = reach
    return reaches
