# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's own time: its rate, its step, its stretching, and what the user should know of them."""

from __future__ import annotations

import bpy


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second, 23.976 and its like included."""
    return float(scene.render.fps / scene.render.fps_base)


def stretch(scene: bpy.types.Scene) -> float:
    """Frames of the animation that pass on each frame of the scene: 1 without time remapping."""
    return float(scene.render.frame_map_old / scene.render.frame_map_new)


def notes_on_keys(scene: bpy.types.Scene) -> list[str]:
    """What the scene's time does to keys that lie by seconds."""
    notes = []
    if stretch(scene) != 1:
        notes.append(
            f"The scene's time is stretched ({_remapping(scene)}): keys lie where the unstretched scene plays them, and "
            "render at another speed."
        )
    if scene.frame_step > 1:
        notes.append(
            f"The scene renders every {scene.frame_step} frames: keys lie on all frames, and quick blinks may be left out "
            "of the render."
        )
    return notes


def notes_on_frames(scene: bpy.types.Scene) -> list[str]:
    """What the scene's time does to rendered frames on a plane."""
    notes = []
    if stretch(scene) != 1:
        notes.append(
            f"The scene's time is stretched ({_remapping(scene)}): frames are drawn as it plays. Cycles shows them so, "
            "but EEVEE stretches them once more on the plane: set Old and New of Time Stretching alike for it."
        )
    if scene.frame_step > 1:
        notes.append(f"The scene renders every {scene.frame_step} frames; the portrait has all of them.")
    return notes


def _remapping(scene: bpy.types.Scene) -> str:
    return f"time remapping {scene.render.frame_map_old} to {scene.render.frame_map_new}"
