# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the demo in Blender without a window: ``python -m blender_addon.demo --photo PHOTO --blend FILE``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import bpy
from portrait_shared.devices import parse_device
from portrait_shared.errors import PortraitError
from portrait_shared.terminal import forgiving_output

import blender_addon
from blender_addon.connection import server
from blender_addon.demo import acting
from blender_addon.demo.keying import animate
from blender_addon.plane import view_colors
from blender_addon.portraits import portrait_camera
from blender_addon.portraits.scene_portraits import portraits_of


def main() -> int:
    with forgiving_output():
        return _run()


def _run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--blend", type=Path, required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--device", type=parse_device, required=True)
    asked = parser.parse_args()
    blender_addon.register()
    try:
        server.acquire(server.launch_plan(bpy.context, device=asked.device), lambda: False)
        return _build(asked.photo, asked.blend, asked.engine)
    except PortraitError as error:
        print(error, file=sys.stderr)
        return 1
    except RuntimeError as error:  # how Blender passes on what an operator reports
        print(str(error).strip(), file=sys.stderr)
        return 1
    finally:
        blender_addon.unregister()


def _build(photo: Path, blend: Path, engine: str) -> int:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = acting.FPS, acting.FIRST, acting.LAST
    view_colors.use_own_colors(scene)
    print(f"Finding the face on {photo} …", flush=True)
    bpy.ops.portrait.add(filepath=str(photo))
    portrait = portraits_of(scene).active
    portrait.engine = engine
    animate(portrait.rig)
    portrait_camera.frame(scene, portrait)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    print(f"Rendering frames {scene.frame_start} to {scene.frame_end} with {portrait.engine} …", flush=True)
    started = time.monotonic()
    if bpy.ops.portrait.render() != {"FINISHED"}:
        return 1
    seconds = time.monotonic() - started
    print(f"{scene.frame_end - scene.frame_start + 1} frames in {seconds:.1f} s")
    scene.frame_set(scene.frame_start)
    bpy.ops.wm.save_mainfile()
    print(f"Frames: {portrait.folder()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
