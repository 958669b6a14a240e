# SPDX-License-Identifier: GPL-3.0-or-later
"""What drives a portrait live: phones and cameras are connected."""

from __future__ import annotations

import bpy

from ...blender import problems
from ...connection import server
from ...live import sessions
from ...live.phones.receiver import Phone
from ...live.source import LiveSource
from ...live.webcam import Webcam
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import NeedsEditableRig, OnRig, has_window, tell


class Connects(NeedsEditableRig, OnRig):
    """Operators that let a source drive the portrait."""

    def source(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> LiveSource:
        """What is connected."""
        raise NotImplementedError

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        source = self.source(context, portrait)
        # Without a window nobody sees the preview, and nothing keeps it going.
        sessions.connect(portrait.uid, source, server.launch_plan(context) if has_window(context) else None)
        problems.forget(portrait.uid)
        return tell(self, source.line, ())


class PORTRAIT_OT_connect_phone(Connects, bpy.types.Operator):
    """Listen for a phone that sends a face, such as by Live Link Face, and let it move the rig at once"""

    bl_idname = "portrait.connect_phone"
    bl_label = "Connect Phone"

    def source(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> LiveSource:
        return Phone(portrait.live.port, portrait.live.phone_address)


class PORTRAIT_OT_connect_camera(Connects, bpy.types.Operator):
    """Let the face that a webcam sees move the rig at once; the pictures stay on this machine"""

    bl_idname = "portrait.connect_camera"
    bl_label = "Connect Webcam"

    def source(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> LiveSource:
        return Webcam(portrait.live.camera, server.launch_plan(context))


CLASSES = (PORTRAIT_OT_connect_phone, PORTRAIT_OT_connect_camera)
