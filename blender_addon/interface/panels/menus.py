# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to the operators without the sidebar: Shift-A, and a pie menu on a key that the user can change."""

from __future__ import annotations

from typing import Final

import bpy

from ...rig.expression_library import EXAMPLES, EXPRESSIONS, VISEMES
from ..operators.common import active_portrait

PIE_KEY: Final = {"type": "P", "value": "PRESS", "shift": True, "ctrl": True}
KEYMAPS: Final = (("3D View", "VIEW_3D"), ("Sequencer", "SEQUENCE_EDITOR"))
INSERT_KEY: Final = {"type": "I", "value": "PRESS"}
"""In Pose Mode; where no slider of a portrait was changed, Blender goes on to its own Insert Keyframe."""


class PORTRAIT_MT_pie(bpy.types.Menu):
    """What is done most with a portrait."""

    bl_idname = "PORTRAIT_MT_pie"
    bl_label = "Portrait"

    def draw(self, context: bpy.types.Context) -> None:
        pie = self.layout.menu_pie()
        pie.operator("portrait.pose", icon="POSE_HLT")
        pie.operator("portrait.render", icon="RENDER_ANIMATION")
        pie.operator("portrait.add", icon="ADD")
        pie.operator("portrait.preview", icon="PLAY")
        pie.operator("portrait.show_photo", icon="IMAGE_DATA")
        pie.operator("portrait.show_frames", icon="RENDER_RESULT")
        pie.operator("portrait.reset_pose", text="Reset Pose", icon="LOOP_BACK").scope = "ALL"
        pie.operator("portrait.cancel", icon="CANCEL")


class PORTRAIT_MT_expressions(bpy.types.Menu):
    """Faces, and mouth shapes of speech, each with a word in which it is heard."""

    bl_idname = "PORTRAIT_MT_expressions"
    bl_label = "Expression"

    def draw(self, context: bpy.types.Context) -> None:
        row = self.layout.row()
        half = (len(VISEMES) + 1) // 2
        names = list(VISEMES)
        for heading, part in (("Faces", list(EXPRESSIONS)), ("Speech", names[:half]), ("", names[half:])):
            column = row.column()
            column.label(text=heading)
            column.separator()
            for name in part:
                text = f"{name} ({EXAMPLES[name]})" if name in EXAMPLES else name.title()
                column.operator("portrait.apply_expression", text=text).expression = name


def draw_add(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entry at the end of Shift-A in the 3D viewport."""
    self.layout.separator()
    self.layout.operator("portrait.add", text="Portrait", icon="USER")


def draw_animation(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entry at the end of Animation in the menus Object and Pose."""
    if active_portrait(context) is not None:
        self.layout.separator()
        self.layout.operator_menu_enum("portrait.key_all", "part", text="Key All of the Portrait")


def draw_image(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entries at the end of Image in the image editor."""
    self.layout.separator()
    self.layout.operator("portrait.verify_image", icon="CHECKMARK")
    self.layout.operator("portrait.verify_file", icon="FILE")


def draw_export(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entries at the end of File > Export."""
    self.layout.separator()
    self.layout.operator("portrait.export_picture", text="Portrait Picture (.png/.jpg/.tif)")
    self.layout.operator("portrait.export_movie", text="Portrait Movie (.mp4/.mov)")


def draw_strip(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entry at the end of Strip in the sequencer."""
    self.layout.separator()
    self.layout.operator("portrait.verify_strips", icon="CHECKMARK")


_shortcuts: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def register() -> None:
    bpy.utils.register_class(PORTRAIT_MT_pie)
    bpy.utils.register_class(PORTRAIT_MT_expressions)
    bpy.types.VIEW3D_MT_add.append(draw_add)
    bpy.types.VIEW3D_MT_object_animation.append(draw_animation)
    bpy.types.IMAGE_MT_image.append(draw_image)
    bpy.types.TOPBAR_MT_file_export.append(draw_export)
    bpy.types.SEQUENCER_MT_strip.append(draw_strip)
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        return
    for name, space in KEYMAPS:
        keymap = keys.keymaps.new(name=name, space_type=space)
        shortcut = keymap.keymap_items.new("wm.call_menu_pie", **PIE_KEY)
        shortcut.properties.name = PORTRAIT_MT_pie.bl_idname
        _shortcuts.append((keymap, shortcut))
    keymap = keys.keymaps.new(name="Pose", space_type="EMPTY")
    _shortcuts.append((keymap, keymap.keymap_items.new("portrait.insert_keys", **INSERT_KEY)))


def unregister() -> None:
    while _shortcuts:
        keymap, shortcut = _shortcuts.pop()
        keymap.keymap_items.remove(shortcut)
    bpy.types.SEQUENCER_MT_strip.remove(draw_strip)
    bpy.types.TOPBAR_MT_file_export.remove(draw_export)
    bpy.types.IMAGE_MT_image.remove(draw_image)
    bpy.types.VIEW3D_MT_object_animation.remove(draw_animation)
    bpy.types.VIEW3D_MT_add.remove(draw_add)
    bpy.utils.unregister_class(PORTRAIT_MT_expressions)
    bpy.utils.unregister_class(PORTRAIT_MT_pie)
