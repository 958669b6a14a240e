# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of live performances: the takes of a portrait, and how they are recorded and keyed."""

from __future__ import annotations

import bpy
from bpy.props import (  # fmt: skip
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .control_rows import CLASSES as CONTROL_CLASSES
from .control_rows import PORTRAIT_PG_control


class PORTRAIT_PG_live_take(bpy.types.PropertyGroup):
    """One take. What was recorded lies in a text of its own, as a custom property: undo need not copy it then."""

    uid: StringProperty(options={"HIDDEN"})
    store: PointerProperty(type=bpy.types.Text)
    first: FloatProperty(options={"HIDDEN"})  # frames, with their parts
    last: FloatProperty(options={"HIDDEN"})
    seconds: FloatProperty(options={"HIDDEN"})
    samples: IntProperty(options={"HIDDEN"})
    timecode: StringProperty(options={"HIDDEN"})
    is_kept: BoolProperty(options={"HIDDEN"})  # whether its keys were set


class PORTRAIT_PG_live(bpy.types.PropertyGroup):
    """A portrait's takes, and how live performances are recorded and keyed."""

    takes: CollectionProperty(type=PORTRAIT_PG_live_take)
    take_index: IntProperty(name="Take", description="Tells which take is chosen", default=0)
    port: IntProperty(
        name="Port",
        description="Listen on this port; type the same number into the phone's program",
        default=11111, min=1024, max=65535,
    )  # fmt: skip
    phone_address: StringProperty(
        name="Phone's Address",
        description="Write the phone's own address, for programs that have to be asked before they send; "
        "empty listens to the first phone that is heard",
    )
    camera: StringProperty(
        name="Camera", description="Choose the camera by its number or a part of its name; empty takes the first"
    )
    controls: CollectionProperty(type=PORTRAIT_PG_control)
    control_index: IntProperty(name="Control", description="Tells which row of the mapping is chosen", default=0)
    use_face: BoolProperty(name="Face", description="Let the performer move the face", default=True)
    use_head: BoolProperty(name="Head", description="Let the performer move the head", default=True)
    play: BoolProperty(
        name="Play the Scene",
        description="Play the scene with its sound while recording; else time goes on by itself",
        default=True,
    )
    past_end: BoolProperty(
        name="Past the End", description="Go on recording after the end of the scene's frame range", default=False
    )
    count_in: IntProperty(
        name="Count-In", description="Count so many beats before anything begins", default=3, min=0, max=16
    )
    tempo: FloatProperty(
        name="Tempo", description="Count so many beats a minute; 60 counts seconds", default=60.0, min=20.0, max=300.0,
        precision=0,
    )  # fmt: skip
    pre_roll: IntProperty(
        name="Pre-Roll",
        description="Let the scene play so many frames before the one from which is recorded",
        default=0, min=0, soft_max=250, max=10_000,
    )  # fmt: skip
    delay_ms: IntProperty(
        name="Delay",
        description="Put the keys so many milliseconds earlier, for a phone or camera that sees late",
        default=0, min=-1000, max=1000,
    )  # fmt: skip
    smoothing: FloatProperty(
        name="Smoothing", description="Take out so much of the trembling; blinks and speech are kept", default=0.3,
        min=0.0, max=1.0,
    )  # fmt: skip
    expression: FloatProperty(
        name="Expression", description="Strengthen or weaken the face's motion; 1 is as performed", default=1.0, min=0.0,
        soft_max=2.0, max=5.0,
    )  # fmt: skip
    head: FloatProperty(
        name="Head Motion", description="Strengthen or weaken the head's motion; 1 is as performed", default=1.0, min=0.0,
        soft_max=2.0, max=5.0,
    )  # fmt: skip
    tolerance: FloatProperty(
        name="Tolerance",
        description="Let a point be so far from where it was captured, in parts of the face's width; "
        "more gives fewer keys",
        subtype="PERCENTAGE", default=0.5, min=0.01, soft_max=3.0, max=20.0, precision=2,
    )  # fmt: skip
    blend: IntProperty(
        name="Blend",
        description="Let the take begin and end over so many frames, from and to the keys that are there",
        default=0, min=0, soft_max=50, max=1000,
    )  # fmt: skip
    placing: EnumProperty(
        name="Place",
        description="Choose where the take's keys go",
        items=(
            ("FRAME", "Where Recorded", "Put them on the frames at which the take was recorded"),
            ("CURRENT", "Current Frame", "Let the take begin on the current frame"),
            ("TIMECODE", "By Timecode", "Put them where the phone's timecode says, counted from the scene's start"),
        ),
    )
    start_timecode: StringProperty(
        name="Scene Starts At",
        description="Write the timecode of the scene's first frame, as HH:MM:SS:FF",
        default="00:00:00:00",
    )

    @property
    def chosen(self) -> PORTRAIT_PG_live_take | None:
        """The take that is chosen in the list."""
        return self.takes[self.take_index] if 0 <= self.take_index < len(self.takes) else None

    @property
    def chosen_control(self) -> PORTRAIT_PG_control | None:
        """The row of the mapping that is chosen in the list."""
        return self.controls[self.control_index] if 0 <= self.control_index < len(self.controls) else None


CLASSES = (*CONTROL_CLASSES, PORTRAIT_PG_live_take, PORTRAIT_PG_live)
