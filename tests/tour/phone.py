# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone's performance, by real packets from another process: it drives the rig, is recorded while the scene plays, and
becomes keys."""

from __future__ import annotations

import subprocess

import bpy
import sidebar
from desktop import (
    PLAN,
    Steps,
    at,
    becomes,
    box_of,
    extension,
    fact,
    place,
    portrait,
    report,
    rig,
    shot,
    until,
    view_layer,
    window,
)
from new_scenes import with_rig

_FRAMES = 150
_PANELS = ["PORTRAIT_PT_capture", "PORTRAIT_PT_live"]


def steps() -> Steps:
    yield from with_rig("phone")
    scene = window().scene
    scene.frame_start, scene.frame_end, scene.frame_current = 1, _FRAMES, 1
    with at():
        bpy.ops.portrait.frame_scene()
        bpy.ops.portrait.connect_phone()
    session = extension("live.sessions").of(portrait().uid)
    source = session.sources["Phone"]
    fact(
        "the panel tells where the phone sends to", bool(source.addresses) and str(portrait().live.port) in source.line
    )
    phone = subprocess.Popen(
        [PLAN["python"], "-m", "tests.phone", "--port", str(portrait().live.port), "--seconds", "60", "--loop",
         "--subject", "Anna's iPhone"],
        cwd=PLAN["project"], stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield from _driven(session, source)
        yield from _recorded(session, source)
    finally:
        phone.kill()
        phone.wait()
    yield from _kept()


def _driven(session: object, source: object) -> Steps:
    yield from becomes("the phone is heard", lambda: "Anna's iPhone" in source.line, 30, lambda: source.line)
    poses = set()
    yield from until(lambda: poses.add(_shown()) or len(poses) > 12, 60, "the rig moves")
    fact("the rig follows the phone", len(poses) > 12)
    preview = extension("preview.live_preview").of(portrait().uid)
    yield from until(lambda: len(preview.latencies) > 12, 120, "the live preview follows")
    fact("the live preview follows", preview.trouble is None, preview.line)
    yield from shot("live_phone", [box_of(place("VIEW_3D").area)])
    yield from sidebar.picture("live_panel", _PANELS)


def _recorded(session: object, source: object) -> Steps:
    with at():
        bpy.ops.portrait.record_live("INVOKE_DEFAULT")
    yield from until(lambda: session.recorder is not None, 10, "the recording")
    yield 1.0
    yield from shot("count_in", [box_of(place("VIEW_3D").area)])
    yield from until(lambda: session.recorder is None or session.recorder.samples > 0, 60, "the first sample")
    yield from until(lambda: session.recorder is None, 120, "the end of the scene's range")
    live = portrait().live
    take = live.takes[0]
    report["figures"]["phone_take"] = {"samples": take.samples, "seconds": round(take.seconds, 2)}
    fact("the take is in the list", take.samples > 100, f"{take.samples} samples in {take.seconds:.1f} s")
    fact(
        "as long as the scene's range",
        _FRAMES - 2 <= take.last <= _FRAMES + 1,
        f"frames {take.first:.1f} to {take.last:.1f}",
    )
    counts = source.counts
    fact("no packet was lost", counts.lost == 0, counts)


def _kept() -> Steps:
    with at():
        bpy.ops.portrait.keep_take()
        bpy.ops.portrait.disconnect_live()
    yield 1.0
    keys = sum(len(curve.keyframe_points) for curve in extension("blender.compat").fcurves_of(rig()))
    report["figures"]["phone_keys"] = keys
    fact("the performance is keys", keys > 100, keys)
    scene, shown = window().scene, set()
    for frame in range(1, _FRAMES, 10):
        scene.frame_set(frame)
        shown.add(_shown())
    fact("the keys move the rig", len(shown) > 8, len(shown))
    yield from shot("live_keys", [box_of(place("VIEW_3D").area)])
    yield from sidebar.picture("live_takes", _PANELS)


def _shown() -> tuple[float, ...]:
    return tuple(
        round(float(value), 3)
        for value in extension("rig.sampling").points_as_evaluated(rig(), view_layer(), portrait().space).ravel()[:60]
    )
