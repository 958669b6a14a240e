# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: they are connected, and which control moves what is learned, added and removed."""

from __future__ import annotations

from typing import Final

import bpy
from bpy.props import EnumProperty

from ...blender.problems import SceneError
from ...connection import server
from ...live import control_rows, sessions
from ...live.control_mapping import Row
from ...live.controls import TITLE, Controls
from ...live.source import LiveSource
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import NeedsPortrait, OnPortrait, active_portrait
from .live_sources import Connects

_PRESETS: Final = tuple((name, label, told) for name, (label, told, _) in control_rows.PRESETS.items())


def controls_of(portrait: PORTRAIT_PG_portrait) -> Controls | None:
    """The controllers that drive a portrait; None where none do."""
    session = sessions.of(portrait.uid)
    found = session.sources.get(TITLE) if session is not None else None
    return found if isinstance(found, Controls) else None


class PORTRAIT_OT_connect_controller(Connects, bpy.types.Operator):
    """Let MIDI and game controllers move the rig at once; all that are plugged in are heard"""

    bl_idname = "portrait.connect_controller"
    bl_label = "Connect Controller"

    def source(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> LiveSource:
        uid = portrait.uid
        if not len(portrait.live.controls):
            control_rows.use(portrait.live, control_rows.GAMEPAD)
        return Controls(
            server.launch_plan(context), lambda: control_rows.rows_of(uid),
            lambda number, device, control: control_rows.learned(uid, number, device, control),
        )  # fmt: skip


class _NeedsRow(NeedsPortrait):
    """Operators for the chosen row."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "Choose a row of the list first" if active_portrait(context).live.chosen_control is None else None


class PORTRAIT_OT_learn_control(_NeedsRow, OnPortrait, bpy.types.Operator):
    """Press this, then move a stick, a fader or a button: the chosen row listens to it from then on"""

    bl_idname = "portrait.learn_control"
    bl_label = "Learn"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "Connect a controller first" if controls_of(active_portrait(context)) is None else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        controls = controls_of(portrait)
        if controls is None:
            raise SceneError("No controller is connected.", "Connect one first.")
        chosen = portrait.live.control_index
        controls.learn(None if controls.learning == chosen else chosen)
        return {"FINISHED"}


class PORTRAIT_OT_add_control(OnPortrait, bpy.types.Operator):
    """Add a row for a further control; move the control that it is to listen to"""

    bl_idname = "portrait.add_control"
    bl_label = "Add Control"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        number = control_rows.add(portrait.live, Row("", "jawOpen", 0.0, 1.0, ease=0.05))
        controls = controls_of(portrait)
        if controls is not None:
            controls.learn(number)
        return {"FINISHED"}


class PORTRAIT_OT_remove_control(_NeedsRow, OnPortrait, bpy.types.Operator):
    """Remove the chosen row: its control moves nothing any more"""

    bl_idname = "portrait.remove_control"
    bl_label = "Remove Control"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        controls = controls_of(portrait)
        if controls is not None:
            controls.learn(None)
        control_rows.remove(portrait.live)
        return {"FINISHED"}


class PORTRAIT_OT_use_controls(OnPortrait, bpy.types.Operator):
    """Use a mapping to begin with, in place of the rows that are there"""

    bl_idname = "portrait.use_controls"
    bl_label = "Mapping"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Mapping",
        description="Choose a mapping to begin with",
        items=_PRESETS,
    )

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        controls = controls_of(portrait)
        if controls is not None:
            controls.learn(None)
        control_rows.use(portrait.live, control_rows.PRESETS[self.preset][2])
        return {"FINISHED"}


CLASSES = (
    PORTRAIT_OT_connect_controller, PORTRAIT_OT_learn_control, PORTRAIT_OT_add_control, PORTRAIT_OT_remove_control,
    PORTRAIT_OT_use_controls,
)  # fmt: skip
