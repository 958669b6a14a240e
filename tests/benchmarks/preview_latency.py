# SPDX-License-Identifier: GPL-3.0-or-later
"""Live preview: from a change of the rig to the picture on the plane, against the engine's own time for a frame.

Drives the very code that Blender's timer does, in bpy, every 10 ms as there; what Blender's window takes to draw
comes on top. Engine and preview are measured by turns, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import bpy
import numpy as np
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import create_engine
from skimage.data import astronaut
from skimage.io import imsave

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

AIM_MS = 200
TICK_SECONDS = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--sizes", nargs="+", default=["256", "512"], choices=("256", "512", "FULL"))
    asked = parser.parse_args()
    import blender_addon

    os.environ["XDG_RUNTIME_DIR"] = folder = tempfile.mkdtemp()  # not a server that runs already
    imsave(f"{folder}/photo.png", astronaut(), check_contrast=False)
    blender_addon.register()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.portrait.add(filepath=f"{folder}/photo.png")
    portrait = bpy.context.scene.talking_portraits.active
    for size in asked.sizes:
        portrait.preview_size = size
        measure(portrait, asked.changes)
    blender_addon.unregister()


def measure(portrait: bpy.types.PropertyGroup, changes: int) -> None:
    """Prints the latencies at the portrait's preview size."""
    from blender_addon.connection import server
    from blender_addon.preview import live_preview
    from blender_addon.rig.armature import rest_points

    engine = create_engine("warp", "cpu")
    own = engine.prepare([Reference(astronaut(), rest_points(portrait.rig, portrait.space))])
    live_preview.start(portrait.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(portrait.uid)
    head = portrait.rig.pose.bones["head"]
    bare = []
    for step in range(changes):
        head.rotation_euler[1] = 0.3 * np.sin(step / 5 + 0.1)
        bpy.context.view_layer.update()
        asked = preview.asked
        while not asked < preview.asked == preview.shown:
            live_preview.pump()
            time.sleep(TICK_SECONDS)
        start = time.perf_counter()
        engine.render(own, preview._row.points[np.newaxis], portrait.preview_frame_size, False)
        bare.append(time.perf_counter() - start)
    took = 1000 * np.array(list(preview.latencies)[-changes + 1 :])  # the first picture made the portrait ready
    engine_ms = 1000 * float(np.median(bare[1:]))
    total_ms, served_ms = np.median(took, axis=0)
    print(
        f"{'x'.join(map(str, portrait.preview_frame_size))}: change to picture {total_ms:.0f} ms "
        f"(90 % within {np.percentile(took[:, 0], 90):.0f}; aim {AIM_MS} at 256), asked to come back {served_ms:.0f}, "
        f"engine {engine_ms:.0f} ms: {engine_ms / total_ms:.0%} of it; load {os.getloadavg()[0]:.1f} "
        f"on {os.cpu_count()} cores",
        flush=True,
    )
    live_preview.stop(portrait.uid)


if __name__ == "__main__":
    main()
