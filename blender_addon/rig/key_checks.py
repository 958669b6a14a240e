# SPDX-License-Identifier: GPL-3.0-or-later
"""What would keep captured keys from the rig: said in words, before anything is changed."""

from __future__ import annotations

import bpy

from ..blender.problems import SceneError
from ..curves.rig_curves import action_of


def check_editable(rig: bpy.types.Object) -> None:
    """Raises SCENE, with what to do, for a rig that may not be keyed at all."""
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


def check_animation(rig: bpy.types.Object) -> None:
    """Raises SCENE, with what to do, for a rig whose action may not be replaced."""
    check_editable(rig)
    animation = rig.animation_data
    if animation is not None and animation.use_tweak_mode:
        raise SceneError(
            f"A strip of the rig “{rig.name}” is being tweaked in the NLA editor.",
            "Leave tweak mode there (Tab), then try again.",
        )


def check_own_action(rig: bpy.types.Object) -> bpy.types.Action:
    """The rig's action, where its keys may be cleaned; raises SCENE where there is none or it is linked."""
    check_animation(rig)
    action = action_of(rig)
    if action is None:
        raise SceneError(f"The rig “{rig.name}” has no keys.", "Capture a performance, or key the rig.")
    if action.library is not None:
        raise SceneError(
            f"The action “{action.name}” is linked from {action.library.filepath}.",
            "Make it local (Make Single User in the Action editor), then try again.",
        )
    return action
