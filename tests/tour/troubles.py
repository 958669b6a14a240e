# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, and what the panel then says and offers: what trouble.md tells."""

from __future__ import annotations

import os
import signal

import bpy
import sidebar
from acting import render, save
from desktop import Steps, at, becomes, extension, fact, portrait, rig, until, window, workspace


def steps() -> Steps:
    yield from workspace("Layout")
    if not bpy.data.filepath:
        save()
    yield from _server_dies()
    yield from _bone_is_deleted()


def _server_dies() -> Steps:
    """The server's process is killed; the next render starts it again."""
    server = extension("connection.server")
    panels = ["PORTRAIT_PT_portraits", "PORTRAIT_PT_server", "PORTRAIT_PT_messages"]
    yield from sidebar.picture("server", panels)
    os.kill(server.health().info.pid, signal.SIGKILL)
    yield from becomes(
        "a server that died is told in its line", lambda: server.health().state == server.ServerState.FAILED
    )
    yield from sidebar.picture("trouble_server_died", panels)
    scene = window().scene
    with at():
        bpy.ops.portrait.reset_pose(scope="ALL")
    scene.frame_end += 1  # a frame that is not there yet
    yield from render()
    fact("the next render starts it again", server.health().state == server.ServerState.RUNNING, server.health().line)


def _bone_is_deleted() -> Steps:
    with at():
        bpy.ops.object.mode_set(mode="EDIT")
        bones = rig().data.edit_bones
        bones.remove(bones["jaw_09"])
        bpy.ops.object.mode_set(mode="POSE")
        bpy.ops.portrait.render("INVOKE_DEFAULT")
    problems, uid = extension("blender.problems"), portrait().uid
    yield from until(lambda: problems.last(uid) is not None, 60, "the bone that is missing is told")
    fact("a deleted bone is named, with the remedy", "jaw_09" in problems.last(uid).message, problems.last(uid).message)
    yield from sidebar.picture("trouble_bone", ["PORTRAIT_PT_portraits", "PORTRAIT_PT_messages"])
    with at():
        bpy.ops.portrait.rebuild()
    fact("Rebuild puts it back", "jaw_09" in rig().data.bones and problems.last(uid) is None)
    yield 0.5
