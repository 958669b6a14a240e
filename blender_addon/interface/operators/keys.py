# SPDX-License-Identifier: GPL-3.0-or-later
"""Key All, Insert Keyframe with the sliders, and keying sets: a face lies on sliders, handles and points at once."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty
from portrait_shared.errors import PortraitError

from ...blender.problems import SceneError, locked_channels
from ...rig import poses, rig_keys
from ...rig.key_checks import check_editable
from .common import OnEditableRig, active_portrait, scene_of


def _key(
    operator: bpy.types.Operator, context: bpy.types.Context, rig: bpy.types.Object, wanted: list[rig_keys.Channel]
) -> int:
    """Keys channels on the current frame, and tells what could not be; how many were keyed.

    Raises:
        PortraitError: SCENE for a rig that may not be keyed; nothing is changed then.
    """
    check_editable(rig)
    if (linked := poses.linked_action(rig)) is not None:
        raise SceneError(
            f"Nothing was keyed: the action “{linked.name}” is linked from {linked.library.filepath}.",
            "Make it local in the Action editor (Make Single User), then try again.",
        )
    scene = scene_of(context)
    count, locked = rig_keys.insert(rig, wanted, scene.frame_current + scene.frame_subframe)
    if locked:
        operator.report({"WARNING"}, locked_channels(locked))
    return count


_PARTS = [(part, label, description) for part, (label, description) in rig_keys.PARTS.items()]


class PORTRAIT_OT_key_all(OnEditableRig, bpy.types.Operator):
    """Key the whole face, or a part of it, as it is on this frame: sliders, handles, and the points that were moved"""

    bl_idname = "portrait.key_all"
    bl_label = "Key All"
    bl_options = {"REGISTER", "UNDO"}

    part: EnumProperty(
        name="Part",
        description="Choose what gets keys on this frame",
        items=_PARTS,
    )

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        rig = portrait.rig
        wanted = rig_keys.channels(rig, self.part)
        skipped = rig_keys.driven(rig)
        count = _key(self, context, rig, wanted)
        if not count:
            self.report({"WARNING"}, "Nothing was keyed: all of it is locked or driven")
            return {"CANCELLED"}
        others = sum(path in skipped for path, _, _ in wanted)
        words = f"{rig_keys.PARTS[self.part][0]} keyed on frame {scene_of(context).frame_current}"
        self.report({"INFO"}, words + (f"; {others} driven channels need no keys" if others else ""))
        return {"FINISHED"}


class PORTRAIT_OT_insert_keys(OnEditableRig, bpy.types.Operator):
    """Insert keyframes on what is selected, as Blender does, and on the sliders that were changed on this frame"""

    bl_idname = "portrait.insert_keys"
    bl_label = "Insert Keyframe with Sliders"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        """Where it is not needed, the key goes on to Blender's own operator."""
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        rig = active_portrait(context).rig
        if context.mode != "POSE" or context.object != rig or context.scene.keying_sets_all.active is not None:
            return "Pose the portrait's rig, with no keying set active"
        changed = rig_keys.unkeyed_sliders(rig, context.scene.frame_current)
        return None if changed else "No slider was changed on this frame"

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        rig = portrait.rig
        sliders = rig_keys.unkeyed_sliders(rig, context.scene.frame_current)
        count = _key(self, context, rig, sliders)
        if context.selected_pose_bones:
            try:
                bpy.ops.anim.keyframe_insert()
            except RuntimeError as error:  # Blender's words, such as that all selected channels are locked
                self.report({"WARNING"}, str(error).strip().removeprefix("Error: "))
        self.report({"INFO"}, "1 changed slider keyed too" if count == 1 else f"{count} changed sliders keyed too")
        return {"FINISHED"}


def _portrait_rig(context: bpy.types.Context) -> bpy.types.Object | None:
    try:
        portrait = active_portrait(context)
    except AttributeError:  # Blender asks about keying sets where there is no scene, too
        return None
    rig = portrait.rig if portrait is not None else None
    try:
        if rig is not None:
            check_editable(rig)
    except PortraitError:
        return None
    return rig


def _keying_set(part: str) -> type:
    label, description = rig_keys.PARTS[part]

    def generate(self: object, context: bpy.types.Context, keying_set: bpy.types.KeyingSet, rig: object) -> None:
        for path, index, group in rig_keys.channels(rig, part):
            keying_set.paths.add(rig, path, index=index, group_method="NAMED", group_name=group)

    body = {
        "bl_idname": f"PORTRAIT_KSI_{part.lower()}",
        "bl_label": f"Portrait: {label}",
        "bl_description": description,
        "__doc__": f"{description}.",
        "poll": lambda self, context: _portrait_rig(context) is not None,
        "iterator": lambda self, context, keying_set: self.generate(context, keying_set, _portrait_rig(context)),
        "generate": generate,
    }
    return type(f"PORTRAIT_KSI_{part.lower()}", (bpy.types.KeyingSetInfo,), body)


KEYING_SETS = tuple(map(_keying_set, rig_keys.PARTS))
CLASSES = (PORTRAIT_OT_key_all, PORTRAIT_OT_insert_keys, *KEYING_SETS)
