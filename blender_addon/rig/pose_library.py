# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses for Blender's asset browser: the shipped expressions and visemes, and poses of the animator's own."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np
from portrait_shared.landmarks import NAMES, POLYLINES

from ..blender import compat
from ..plane.plane_space import PlaneSpace
from .armature import HEAD_BONE, rest_points
from .blendshapes import ARKIT_NAMES, combine, shape_offsets
from .body_sliders import BODY_SLIDERS
from .expression_library import EXPRESSIONS, VISEMES
from .handles import HANDLES
from .poses import library_weights

_TAG = "Talking Portraits"
_ICON_SIZE = 96
_ICON_LINE = 1.3  # pixels
_MADE_FROM = "talking_portraits_pose"


def make_library(rig: bpy.types.Object, space: PlaneSpace) -> list[bpy.types.Action]:
    """Pose assets of all shipped expressions and visemes in this file; those made before are replaced."""
    actions = []
    for kind, names in (("Expression", EXPRESSIONS), ("Viseme", VISEMES)):
        for name in names:
            made_before = next((old for old in bpy.data.actions if old.get(_MADE_FROM) == name), None)
            if made_before is not None:
                bpy.data.actions.remove(made_before)
            weights = library_weights(name)
            action = _pose_asset(f"{kind} {name}", {f'["{slider}"]': (weight,) for slider, weight in weights.items()})
            action[_MADE_FROM] = name
            action.asset_data.tags.new(kind)
            _draw_icon(action, rest_points(rig, space), weights)
            actions.append(action)
    return actions


def save_pose(rig: bpy.types.Object, space: PlaneSpace, name: str) -> bpy.types.Action:
    """The rig's present pose as a pose asset: sliders, handles, and those points that were moved by hand."""
    sliders = {slider: float(rig[slider]) for slider in ARKIT_NAMES if slider in rig}
    body = {slider: float(rig[slider]) for slider in BODY_SLIDERS if slider in rig}
    curves: dict[str, tuple[float, ...]] = {f'["{slider}"]': (value,) for slider, value in (sliders | body).items()}
    for bone_name in (HEAD_BONE, *HANDLES, *NAMES):
        bone = rig.pose.bones.get(bone_name)
        if bone is None or (bone_name in NAMES and not any(bone.location)):
            continue
        path = f'pose.bones["{bpy.utils.escape_identifier(bone_name)}"]'
        curves[f"{path}.location"] = tuple(bone.location)
        if bone_name == HEAD_BONE and bone.rotation_mode not in ("QUATERNION", "AXIS_ANGLE"):
            curves[f"{path}.rotation_euler"] = tuple(bone.rotation_euler)
    action = _pose_asset(name, curves)
    _draw_icon(action, rest_points(rig, space), sliders)
    return action


def _pose_asset(name: str, curves: Mapping[str, tuple[float, ...]]) -> bpy.types.Action:
    """An action of one frame, marked as an asset; `curves`: {data path: value of each index}."""
    action = bpy.data.actions.new(name)
    owner = bpy.data.objects.new(name, None)  # an action is filled through one that it moves
    bag = compat.new_fcurves(owner, action)
    for path, values in curves.items():
        for index, value in enumerate(values):
            bag.fcurves.new(path, index=index).keyframe_points.insert(1, value)
    bpy.data.objects.remove(owner)
    action.asset_mark()
    action.asset_data.tags.new(_TAG)
    return action


def _draw_icon(action: bpy.types.Action, points: np.ndarray, weights: Mapping[str, float]) -> None:
    """Draws the face's outlines as the pose moves them, light on a transparent ground, as the asset's preview."""
    points = np.asarray(points, np.float64)
    posed = (points + combine(points, weights, shape_offsets(points)))[:, :2]
    low, high = points[:68, :2].min(0), points[:68, :2].max(0)
    middle, scale = (low + high) / 2 + (0, 0.05 * (high - low)[1]), 0.78 * _ICON_SIZE / (high - low).max()
    posed = (posed - middle) * scale + _ICON_SIZE / 2
    rows, columns = np.mgrid[0:_ICON_SIZE, 0:_ICON_SIZE] + 0.5
    alpha = np.zeros((_ICON_SIZE, _ICON_SIZE))
    for line, closed in POLYLINES:
        ends = [*line, line[0]] if closed else list(line)
        for a, b in zip(posed[ends[:-1]], posed[ends[1:]], strict=True):
            along = b - a
            way = ((columns - a[0]) * along[0] + (rows - a[1]) * along[1]) / max(along @ along, 1e-9)
            way = np.clip(way, 0, 1)
            distance = np.hypot(columns - a[0] - way * along[0], rows - a[1] - way * along[1])
            alpha = np.maximum(alpha, np.clip(_ICON_LINE - distance + 0.5, 0, 1))
    # Blender draws previews as premultiplied: white with no alpha would be a white square.
    pixels = np.repeat(alpha[::-1, :, None], 4, axis=2).astype(np.float32)
    preview = action.preview_ensure()
    preview.image_size = (_ICON_SIZE, _ICON_SIZE)
    preview.image_pixels_float.foreach_set(pixels.ravel())
