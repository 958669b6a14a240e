# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether frames show the person, as Blender finds it out after a render and tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.frames.identity import IDENTITY_FILE, FrameIdentity, Identity, Verdict

bpy = pytest.importorskip("bpy")

from blender_addon.interface.panels import messages, sections  # noqa: E402
from blender_addon.render import frame_band, frame_states, recognition  # noqa: E402
from blender_addon.render.frame_states import FrameState  # noqa: E402
from tests.blender.test_frame_states import all_in, key, settle  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


def told(folder: Path, verdicts: dict[int, Verdict]) -> Identity:
    """What was found of frames that are there, written beside them."""
    found = Identity(
        "a measure", 0.54,
        {
            number: FrameIdentity(str(read_digest(frame_path(folder, number))), verdict, 0.75)
            for number, verdict in verdicts.items()
        },
    )  # fmt: skip
    found.save(folder / IDENTITY_FILE)
    return found


def test_frames_of_somebody_else_are_marked(needs_server: None, acting: Any) -> None:
    bpy.ops.portrait.render()
    settle(acting, all_in(FrameState.DONE))
    told(acting.folder(), {4: Verdict.RECOGNISED, 5: Verdict.NOT_RECOGNISED, 6: Verdict.CANNOT_TELL})
    states = settle(acting, all_in(FrameState.DONE, FrameState.NOT_RECOGNISED))
    assert states[5] is FrameState.NOT_RECOGNISED
    assert frame_states.line(acting.uid) == "2 done, 1 not recognised"
    assert FrameState.NOT_RECOGNISED in {state for _, state in frame_band.rectangles(
        frame_states.runs(acting.uid), float, 10.0, 0.0, 1.0)}  # fmt: skip
    assert set(frame_band.COLORS) == set(FrameState)
    assert messages.is_little_recognised(acting) and sections.state_icon(acting) == "QUESTION"

    key(acting, 5, 0.3)
    settle(acting, lambda found: found[5] is FrameState.STALE)
    watch = frame_states.of(acting.uid)
    assert watch.identity is not None and 5 not in watch.identity.frames, "it was found of other pixels"
    assert not messages.is_little_recognised(acting)


def test_after_a_render_it_is_found_out(needs_server: None, acting: Any) -> None:
    bpy.app.timers.register(recognition.on_timer)  # as in the window; without one it never ticks
    try:
        bpy.ops.portrait.render()
        assert recognition.line(acting.uid) == "Checking the likeness"
        path = acting.folder() / IDENTITY_FILE
        wait_until(lambda: not recognition.tick(), note=lambda: recognition.line(acting.uid))
        found = Identity.load(path)
        assert found is not None and found.counts[Verdict.CANNOT_TELL] == len(found.frames) == 3
        assert "too small" in found.in_words and recognition.line(acting.uid) == ""
    finally:
        bpy.app.timers.unregister(recognition.on_timer)
        recognition.stop_all()
