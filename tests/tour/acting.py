# SPDX-License-Identifier: GPL-3.0-or-later
"""Acting by hand: handles dragged and keyed, the live preview, the first render, and one key moved."""

from __future__ import annotations

import shutil
import time
from typing import Any

import bpy
import latency
import numpy as np
import sidebar
from bpy_extras.view3d_utils import location_3d_to_region_2d
from desktop import (
    FOLDER,
    Steps,
    at,
    becomes,
    box_of,
    drag,
    extension,
    fact,
    move,
    place,
    portrait,
    press,
    report,
    rig,
    settled,
    shot,
    take,
    until,
    window,
    xdo,
)
from first_frames import viewport_and_sidebar

from tests.pose_bones import select_pose_bone

LAST = 48
MOVED_FROM, MOVED_BY = 30, 2
_BEFORE, _AFTER = 26, 36  # the keys on both sides of the one that is moved


def steps() -> Steps:
    scene = window().scene
    scene.frame_start, scene.frame_end = 1, LAST
    scene.frame_set(1)
    yield from _show_all_of_timeline()
    yield from _live_preview()
    yield from _key_by_hand()
    yield from _scrub()
    yield from _sliders()
    yield from _render_unsaved()
    yield from _render()
    yield from _play()
    yield from _move_one_key()


# Handles


def on_screen(bone: str) -> tuple[int, int]:
    """Where a handle can be clicked: the head's halo at its front, the others in their middle."""
    view = place("VIEW_3D")
    pose = rig().pose.bones[bone]
    spot = pose.head
    if bone == "head":
        corners = [pose.matrix @ (corner.co * pose.bone.length) for corner in pose.custom_shape.data.vertices]
        spot = min(corners, key=lambda corner: corner.y)
    head = rig().matrix_world @ spot
    spot = location_3d_to_region_2d(view.region, view.area.spaces.active.region_3d, head)
    return view.pixel(spot.x, spot.y)


def pick(bone: str) -> Steps:
    """Clicks on a handle."""
    yield from move(on_screen(bone))
    xdo("click", 1)
    bones = rig().data.bones
    yield from becomes(
        f"a click picks the handle {bone}", lambda: bones.active is not None and bones.active.name == bone
    )


def grab(bone: str, steps_: list[tuple[int, int]], seconds: float = 0.05) -> Steps:
    """Picks a handle, presses G, moves the mouse by pixels, step by step, and clicks."""
    yield from pick(bone)
    x, y = on_screen(bone)
    xdo("key", "g")
    yield 0.3
    for across, down in steps_:
        xdo("mousemove", x + across, y + down)
        yield seconds
    xdo("click", 1)
    yield 0.4


def key_here(*bones: str) -> None:
    """What the key I does for the handles."""
    for bone in bones:
        pose = rig().pose.bones[bone]
        pose.keyframe_insert("rotation_euler" if bone == "head" else "location", group=bone)


def _set(bone: str, frame: int, right: float = 0.0, up: float = 0.0, unit: float | None = None) -> None:
    """A handle's place in parts of its travel, keyed."""
    pose = rig().pose.bones[bone]
    limit = pose.constraints.get("Portrait Limits")
    for axis, part in (("x", right), ("y", up)):
        index = "xyz".index(axis)
        reach = unit if limit is None else abs(getattr(limit, f"{'max' if part > 0 else 'min'}_{axis}"))
        pose.location[index] = part * (reach or 0.0)
    pose.keyframe_insert("location", frame=frame, group=bone)


def _show_all_of_timeline() -> Steps:
    with at("DOPESHEET_EDITOR"):
        bpy.ops.action.view_all()
    yield 0.5


def _live_preview() -> Steps:
    with at():
        bpy.ops.portrait.preview()
    preview = extension("preview.live_preview").of(portrait().uid)
    yield from until(lambda: bool(preview.latencies), 60, "the first live picture")
    yield from _measure_dragging(preview)
    yield from pick("jaw")
    x, y = on_screen("jaw")
    xdo("key", "g")
    yield 0.3
    for down in range(0, 62, 4):
        xdo("mousemove", x, y + down)
        yield 0.08
    yield from until(lambda: preview.shown == preview.asked, 10, "the picture of the drag's end")
    yield from settled()
    shown = extension("plane.image_plane").shows_preview(portrait().plane)
    fact("the plane follows the rig while it is dragged", shown and preview.shown == preview.asked, preview.line)
    take("live_preview", viewport_and_sidebar())
    xdo("click", 1)
    yield 0.3


def _measure_dragging(preview: Any) -> Steps:
    """In the viewport as it is, and in a small one: without a graphics card Blender takes long to draw a large one."""
    figures = report["figures"].setdefault("latency", {})
    for what in ("a handle is dragged", "a handle is dragged in a small viewport"):
        if "small" in what:
            yield from _shrink_viewport()
        yield from settled()
        watch = latency.Watch(preview)
        reach = place("VIEW_3D").region.height / 16
        yield from grab("jaw", [(0, round(reach * np.sin(t * np.pi))) for t in np.linspace(0.02, 0.98, 50)])
        figures[what] = watch.figures()
        print(f"tour: {what}: {figures[what]}", flush=True)
        yield from press("ctrl+z", place("VIEW_3D").point(0.3, 0.3))
        yield from until(lambda: max(map(abs, rig().pose.bones["jaw"].location)) < 1e-6, 10, "Ctrl-Z takes it back")
    watch.keep_rows(FOLDER / "asked.npz", portrait(), extension("rig.armature"))
    yield from _grow_viewport()
    for measured in figures.values():
        latency.check(measured)


def _shrink_viewport() -> Steps:
    """In a copy of the workspace."""
    with at():
        bpy.ops.workspace.duplicate()
    yield 0.5
    place("VIEW_3D").area.spaces.active.show_region_ui = False
    for direction, factor in (("VERTICAL", 0.35), ("HORIZONTAL", 0.45)):
        with at():
            bpy.ops.screen.area_split(direction=direction, factor=factor)
        yield 0.3
        areas = [area for area in window().screen.areas if area.type == "VIEW_3D"]
        min(areas, key=lambda area: (area.x, -area.y)).tag_redraw()
        for area in areas:
            if area != min(areas, key=lambda one: one.width * one.height):
                area.type = "TEXT_EDITOR"
        yield 0.3
    with at() as view:
        extension("portraits.viewport").look_from_front(
            view.area.spaces.active, view.region.width, view.region.height, portrait()
        )
    yield 0.5


def _grow_viewport() -> Steps:
    yield from sidebar.back_to_layout()
    yield from settled()


def _key_by_hand() -> Steps:
    scene = window().scene
    middle = place("VIEW_3D").point(0.4, 0.5)
    yield from press("i", middle)  # the jaw's own key, where the drag left it
    fcurves_of = extension("blender.compat").fcurves_of
    yield from becomes(
        "the key I keys the handle", lambda: any('"jaw"' in curve.data_path for curve in fcurves_of(rig()))
    )
    opened = rig().pose.bones["jaw"].location.copy()
    rig().animation_data.action = None
    jaw = rig().pose.bones["jaw"]
    for frame, part in ((1, 0.0), (7, 0.0), (11, 1.0), (15, 0.15), (19, 0.8), (23, 0.0)):
        jaw.location = part * opened
        jaw.keyframe_insert("location", frame=frame, group="jaw")
    for side in "LR":
        for frame, up in ((20, 0.0), (26, 0.9), (LAST, 0.7)):
            _set(f"mouth_corner.{side}", frame, up=up)
        for frame, up in ((_BEFORE, 0.0), (MOVED_FROM, -1.0), (_AFTER, 0.0)):
            _set(f"lid_upper.{side}", frame, up=up)
    for frame, right in ((_AFTER, 0.0), (40, 0.12), (LAST, 0.12)):
        _set("gaze", frame, right=right, unit=portrait().space.half_size[0])
    scene.frame_set(40)
    yield from pick("head")
    xdo("key", "r")
    yield 0.3
    xdo("key", "y", "y")  # about the head's own axis
    xdo("type", "18")
    xdo("key", "Return")
    head = rig().pose.bones["head"]
    yield from becomes(
        "R Y Y 18 turns the head by 18 degrees", lambda: abs(abs(np.degrees(head.rotation_euler[1])) - 18) < 0.1,
        more=lambda: np.degrees(head.rotation_euler).round(1),
    )  # fmt: skip
    turned = head.rotation_euler[1]
    for frame, part in ((30, 0.0), (40, 1.0), (LAST, 1.0)):
        rig().pose.bones["head"].rotation_euler[1] = part * abs(turned)
        rig().pose.bones["head"].keyframe_insert("rotation_euler", frame=frame, group="head")
    yield 0.2
    scene.frame_set(44)
    yield from shot("posed", viewport_and_sidebar())


def _scrub() -> Steps:
    """With the mouse along the frame numbers of the timeline."""
    timeline = place("DOPESHEET_EDITOR")
    preview = extension("preview.live_preview").of(portrait().uid)
    watch = latency.Watch(preview)
    spots = []
    for frame in (*range(1, LAST, 2), *range(LAST, 1, -2)):
        x, _ = timeline.region.view2d.view_to_region(frame, 0, clip=False)
        spots.append(timeline.pixel(x, timeline.region.height - 10))
    yield from drag(spots, 0.12)
    report["figures"]["latency"]["the timeline is scrubbed"] = watch.figures()
    fact("scrubbing shows new pictures all along", watch.figures()["pictures"] > 10, watch.figures()["pictures"])
    with at():
        bpy.ops.portrait.preview()
    yield 0.5
    fact("the plane shows the photo again", not extension("plane.image_plane").shows_preview(portrait().plane))


def _sliders() -> Steps:
    window().scene.frame_set(1)
    shown = {"browInnerUp": 0.6, "browDownLeft": 0.3, "eyeBlinkRight": 0.8, "eyeSquintLeft": 0.25}
    for name, weight in shown.items():
        rig()[name] = weight
    rig().update_tag()
    yield 0.5
    regions = [f"PORTRAIT_PT_rig_{region}" for region in ("brows", "eyes")]
    yield from sidebar.picture("sliders", ["PORTRAIT_PT_portraits", "PORTRAIT_PT_rig", *regions])
    for name in shown:
        rig()[name] = 0.0
    rig().update_tag()
    yield 0.5


# Rendering


def states() -> dict[int, str]:
    return {frame: str(state) for frame, state in extension("render.frame_states").of(portrait().uid).states.items()}


def render(name: str | None = None, editor: str = "VIEW_3D") -> Steps:
    """Render Portrait, as its button in an editor does; a picture on the way where one is asked for."""
    queue = extension("jobs.job_queue")
    with at(editor):
        bpy.ops.portrait.render("INVOKE_DEFAULT")
    job = queue.last_of(portrait().uid)
    if name is not None:
        yield from until(lambda: not job.active or job.progress > 0.5, 120, "the first frames")
        take(name, viewport_and_timeline())
    yield from until(lambda: not job.active, 300, "the render")
    yield 0.5
    if job.error is not None:
        raise job.error


def viewport_and_timeline() -> list[tuple[int, int, int, int]]:
    return [*viewport_and_sidebar(), box_of(place("DOPESHEET_EDITOR").area)]


def all_done(frames: range) -> Steps:
    wanted = dict.fromkeys(frames, "done")
    yield from becomes(
        "every frame is known to be done", lambda: states() == wanted, 60,
        lambda: dict(sorted(set(states().items()) ^ set(wanted.items()))),
    )  # fmt: skip


def _render_unsaved() -> Steps:
    """A file without a name is rendered all the same; the panel says how long its frames are kept, and saving moves them."""
    messages = extension("interface.panels.messages")
    with at():
        bpy.ops.workspace.duplicate()
    yield 0.7
    yield from sidebar.open_tab()
    told = messages.unsaved(portrait())
    fact("a file that was never saved tells how long its frames are kept", told is not None and "save" in told.message)
    yield 1.5
    yield from sidebar.back_to_layout()
    yield from sidebar.picture("trouble_not_saved", ["PORTRAIT_PT_portraits", "PORTRAIT_PT_messages"])
    save()
    yield 0.5


def save() -> None:
    shutil.rmtree(FOLDER / "scene", ignore_errors=True)
    (FOLDER / "scene").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "scene" / "tour.blend"))


def _render() -> Steps:
    started = time.monotonic()
    window().scene.frame_set(11)
    yield from render("rendering")
    report["figures"]["seconds_to_render_48_frames"] = round(time.monotonic() - started, 1)
    files = frame_files()
    fact("all frames are on the disk", sorted(files) == list(range(1, LAST + 1)), len(files))
    yield from all_done(range(1, LAST + 1))
    extension("render.portrait_strip").add(window().scene, portrait())
    strip = extension("portraits.sequencer").find_strip(window().scene, portrait().uid)
    fact("the sequencer has the strip", extension("blender.compat").strip_range(strip) == range(1, LAST + 1))
    yield from shot("rendered")


def frame_files() -> dict[int, int]:
    """Time of the last change of each frame's file, ns."""
    return {int(path.stem): path.stat().st_mtime_ns for path in portrait().folder().glob("[0-9]*.png")}


def _play() -> Steps:
    yield from play("playing", viewport_and_timeline())


def play(name: str, boxes: list[Any]) -> Steps:
    """Plays with the overlays off, as one who watches does."""
    scene, space = window().scene, place("VIEW_3D").area.spaces.active
    with at():
        if rig().mode == "POSE":
            bpy.ops.object.mode_set(mode="OBJECT")
    space.overlay.show_overlays = False
    scene.frame_set(scene.frame_start)
    yield from settled()
    with at():
        bpy.ops.screen.animation_play()
    seen: set[int] = set()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        seen.add(scene.frame_current)
        yield 0.05
    playing = window().screen.is_animation_playing
    take(name, boxes)
    with at():
        bpy.ops.screen.animation_cancel(restore_frame=False)
    fact("the portrait plays", playing and len(seen) > 5, f"{len(seen)} frames seen in 6 s")
    image = extension("plane.image_plane").texture_node(portrait().plane).image
    fact("the plane plays the frames", image.source == "SEQUENCE")
    space.overlay.show_overlays = True
    with at():
        bpy.ops.object.mode_set(mode="POSE")
    yield 0.3


def _move_one_key() -> Steps:
    """The lids' closing goes two frames later."""
    before = frame_files()
    for side in "LR":
        select_pose_bone(rig().pose.bones[f"lid_upper.{side}"], True)
    select_pose_bone(rig().pose.bones["head"], False)
    for curve in extension("blender.compat").fcurves_of(rig()):
        for point in curve.keyframe_points if '"lid_upper.' in curve.data_path else ():
            if round(point.co.x) == MOVED_FROM:
                for place_ in (point.co, point.handle_left, point.handle_right):
                    place_.x += MOVED_BY
        curve.update()
    rig().animation_data.action.update_tag()
    bpy.ops.ed.undo_push(message="Move Key")
    yield 0.3

    def keys() -> set[int]:
        curves = [curve for curve in extension("blender.compat").fcurves_of(rig()) if '"lid_upper.' in curve.data_path]
        return {round(point.co.x) for curve in curves for point in curve.keyframe_points}

    yield from becomes(
        "the key was moved", lambda: MOVED_FROM + MOVED_BY in keys() and MOVED_FROM not in keys(), more=keys
    )
    yield from until(lambda: "stale" in states().values() and "checking" not in states().values(), 60, "stale frames")
    stale = {frame for frame, state in states().items() if state == "stale"}
    touched = set(range(_BEFORE + 1, _AFTER))
    fact("only the frames that the key touches are stale", stale <= touched and len(stale) > 4, sorted(stale))
    fact("the others are done", {s for f, s in states().items() if f not in stale} == {"done"})
    window().scene.frame_set(MOVED_FROM)
    yield from shot("stale", viewport_and_timeline())
    yield from render()
    after = frame_files()
    again = {frame for frame, at_ in after.items() if at_ != before[frame]}
    # One on which the lids happen to be as far as before is found to be valid, and kept.
    fact("only these were rendered again", again <= stale and len(again) > 4, sorted(again))
    yield from all_done(range(1, LAST + 1))
