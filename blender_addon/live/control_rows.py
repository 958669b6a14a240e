# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's mapping of controls: how it is read from the .blend and changed, and mappings to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..blender import problems
from ..portraits.control_rows import MOST_ROWS, PORTRAIT_PG_control
from ..portraits.live_takes import PORTRAIT_PG_live
from ..portraits.scene_portraits import find_portrait
from ..rig.control_targets import BROWS, GAZE_ACROSS, GAZE_UP, HEAD_NOD, HEAD_TILT, HEAD_TURN, both
from .control_mapping import Row, first_range

_STICK: Final = {"dead_zone": 0.12, "curve": 1.5, "ease": 0.06}  # worn sticks rest up to a tenth beside the middle
_BUTTON: Final = {"ease": 0.04}
_FADER: Final = {"ease": 0.08}  # 127 steps become one move
_FADER_TARGETS: Final = (
    "jawOpen", both("mouthSmile"), "mouthPucker", BROWS, both("eyeBlink"), GAZE_ACROSS, GAZE_UP, HEAD_TURN,
)  # fmt: skip


def _row(control: str, target: str, low: float | None = None, high: float | None = None, **more: float) -> Row:
    first = first_range(target, control)
    return Row(control, target, first[0] if low is None else low, first[1] if high is None else high, **more)  # type: ignore[arg-type]


GAMEPAD: Final = (
    _row("left x", HEAD_TURN, **_STICK), _row("left y", HEAD_NOD, **_STICK),
    _row("right x", GAZE_ACROSS, **_STICK), _row("right y", GAZE_UP, **_STICK),
    _row("left trigger", "jawOpen", ease=0.03), _row("right trigger", both("mouthSmile"), ease=0.05),
    _row("left shoulder", "eyeBlinkRight", **_BUTTON),  # the person's right eye is on the picture's left
    _row("right shoulder", "eyeBlinkLeft", **_BUTTON),
    _row("a", "mouthPucker", ease=0.06), _row("b", both("mouthFrown"), ease=0.1),
    _row("x", BROWS, 0.0, -1.0, ease=0.1), _row("y", BROWS, 0.0, 1.0, ease=0.1),
    _row("pad left", HEAD_TILT, 0.0, -12.0, ease=0.15), _row("pad right", HEAD_TILT, 0.0, 12.0, ease=0.15),
)  # fmt: skip


def faders(first: int) -> tuple[Row, ...]:
    """Eight faders or knobs, whose controls count from `first` on, on channel 1."""
    named = enumerate(_FADER_TARGETS, first)
    return tuple(_row(f"cc {number} ch 1", target, **_FADER) for number, target in named)


PRESETS: Final = {
    "GAMEPAD": ("Gamepad", "Sticks turn head and gaze, triggers open the jaw and smile, bumpers blink", GAMEPAD),
    "FADERS_0": ("Faders, CC 0 to 7", "Eight faders, as of Korg's nanoKONTROL2", faders(0)),
    "FADERS_21": ("Knobs, CC 21 to 28", "Eight knobs or faders, as of Novation's controllers", faders(21)),
    "FADERS_70": ("Knobs, CC 70 to 77", "Eight knobs, as of Akai's MPK mini", faders(70)),
}
"""{name: (label, description, rows)}."""


def rows_of(uid: str) -> Sequence[Row]:
    """A portrait's mapping as it is now; nothing where the portrait is not there."""
    found = find_portrait(uid)
    if found is None:
        return ()
    return [
        Row(row.control, row.target, row.low, row.high, row.device, row.invert, row.dead_zone, row.curve, row.ease)
        for row in found[1].live.controls[:MOST_ROWS]
    ]


def use(live: PORTRAIT_PG_live, rows: Sequence[Row]) -> None:
    """These rows in place of those that are there."""
    live.controls.clear()
    for row in rows:
        _fill(live.controls.add(), row)
    live.control_index = 0


def add(live: PORTRAIT_PG_live, row: Row) -> int:
    """One row more, which is chosen; its number.

    Raises:
        PortraitError: SCENE where there are 64 already.
    """
    if len(live.controls) >= MOST_ROWS:
        raise problems.SceneError(f"No more than {MOST_ROWS} controls can be mapped.", "Remove one first.")
    _fill(live.controls.add(), row)
    live.control_index = len(live.controls) - 1
    return live.control_index


def remove(live: PORTRAIT_PG_live) -> None:
    """The chosen row goes."""
    live.controls.remove(live.control_index)
    live.control_index = max(min(live.control_index, len(live.controls) - 1), 0)


def learned(uid: str, number: int, device: str, control: str) -> None:
    """A row has got its control; its range follows, where nobody had changed it."""
    found = find_portrait(uid)
    if found is None or not 0 <= number < len(found[1].live.controls):
        return
    row = found[1].live.controls[number]
    untouched = _same((row.low, row.high), first_range(row.target, row.control))
    row.device, row.control = device, control
    if untouched:
        row.low, row.high = first_range(row.target, control)


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) < 1e-4


def _fill(row: PORTRAIT_PG_control, values: Row) -> None:
    for name in ("control", "target", "low", "high", "device", "invert", "dead_zone", "curve", "ease"):
        setattr(row, name, getattr(values, name))
