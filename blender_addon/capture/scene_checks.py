# SPDX-License-Identifier: GPL-3.0-or-later
"""What in the scene would make captured keys land wrong, or nowhere: said in words, before anything is changed."""

from __future__ import annotations

import bpy

from ..problems import SceneError


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second, 23.976 and its like included."""
    return float(scene.render.fps / scene.render.fps_base)


def notes_on_time(scene: bpy.types.Scene) -> list[str]:
    """What the scene's own time does to keys that lie by seconds."""
    notes = []
    old, new = scene.render.frame_map_old, scene.render.frame_map_new
    if old != new:
        notes.append(
            f"The scene's time is stretched (time remapping {old} to {new}): keys lie where the unstretched scene plays "
            "them, and render at another speed."
        )
    if scene.frame_step > 1:
        notes.append(
            f"The scene renders every {scene.frame_step} frames: keys lie on all frames, and quick blinks may be left out "
            "of the render."
        )
    return notes


def check_animation(rig: bpy.types.Object) -> None:
    """Raises SCENE, with what to do, for a rig whose animation may not be changed."""
    if rig.library is not None:
        raise SceneError(
            f"The rig “{rig.name}” is linked from {rig.library.filepath} and cannot be keyed here.",
            "Make a library override of it (Object › Library Override), or capture in its own file.",
        )
    if rig.override_library is not None and rig.override_library.is_system_override:
        raise SceneError(
            f"The library override of the rig “{rig.name}” may not be edited.",
            "Make it editable: Object › Library Override › Make.",
        )
    animation = rig.animation_data
    if animation is not None and animation.use_tweak_mode:
        raise SceneError(
            f"A strip of the rig “{rig.name}” is being tweaked in the NLA editor.",
            "Leave tweak mode there (Tab), then try again.",
        )


def check_own_action(rig: bpy.types.Object) -> bpy.types.Action:
    """The rig's action, where its keys may be cleaned; raises SCENE where there is none or it is linked."""
    check_animation(rig)
    action = rig.animation_data.action if rig.animation_data is not None else None
    if action is None:
        raise SceneError(f"The rig “{rig.name}” has no keys.", "Capture a performance, or key the rig.")
    if action.library is not None:
        raise SceneError(
            f"The action “{action.name}” is linked from {action.library.filepath}.",
            "Make it local (Make Single User in the Action editor), then try again.",
        )
    return action
