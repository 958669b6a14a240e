# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of a portrait's controllers: which control moves what, a row for each."""

from __future__ import annotations

from typing import Final

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from ..rig.control_targets import TARGETS

MOST_ROWS: Final = 64
NAME_CHARACTERS: Final = 100
_OWN: Final = "portrait_"


def _targets(row: PORTRAIT_PG_control, _: bpy.types.Context, text: str) -> list[str]:
    """Those whose names have the text in them, with the numbers that the rig has beside its sliders."""
    rig = row.id_data.path_resolve(row.path_from_id().rpartition(".live.")[0]).rig
    own = []
    if rig is not None:
        own = [name for name, value in rig.items() if isinstance(value, float) and not name.startswith(_OWN)]
    return [name for name in dict.fromkeys((*TARGETS, *own)) if text.casefold() in name.casefold()]


class PORTRAIT_PG_control(bpy.types.PropertyGroup):
    """One row: a control, and what it moves."""

    device: StringProperty(
        name="Controller", description="Listen to the controller of this name; empty listens to all",
        maxlen=NAME_CHARACTERS,
    )  # fmt: skip
    control: StringProperty(
        name="Control", description="Listen to this control, such as “left x” or “cc 21 ch 1”; Learn fills it in",
        maxlen=NAME_CHARACTERS,
    )  # fmt: skip
    target: StringProperty(
        name="Moves", description="Choose what it moves: a slider, two of both sides, the gaze or the head",
        maxlen=NAME_CHARACTERS, search=_targets, search_options={"SUGGESTION"},
    )  # fmt: skip
    low: FloatProperty(
        name="From",
        description="Be here at the control's lowest, or at a stick's left or bottom; degrees for turns of the head",
        soft_min=-30.0, soft_max=30.0, min=-180.0, max=180.0, precision=2, step=10,
    )  # fmt: skip
    high: FloatProperty(
        name="To",
        description="Be here at the control's highest, or at a stick's right or top; degrees for turns of the head",
        default=1.0, soft_min=-30.0, soft_max=30.0, min=-180.0, max=180.0, precision=2, step=10,
    )  # fmt: skip
    invert: BoolProperty(name="Invert", description="Turn the control's direction round", default=False)
    dead_zone: FloatProperty(
        name="Dead Zone", description="Take so much of the control's way, from where it rests, for rest",
        default=0.0, min=0.0, max=0.9,
    )  # fmt: skip
    curve: FloatProperty(
        name="Curve", description="Be finer near rest: 1 is straight, 2 follows the square", default=1.0, min=0.25,
        max=4.0,
    )  # fmt: skip
    ease: FloatProperty(
        name="Ease", description="Follow so slowly, in seconds: buttons then fade, and coarse faders run smoothly",
        default=0.05, min=0.0, soft_max=0.5, max=5.0, precision=3, step=1,
    )  # fmt: skip


CLASSES = (PORTRAIT_PG_control,)
