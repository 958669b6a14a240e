# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a rig that rides on a shot: how far what was filmed gives way to the rig's own rest. They move no bones."""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from portrait_shared.performance import REPLACEABLE

AS_FILMED: Final = np.zeros(len(REPLACEABLE), np.float32)
"""What holds of a portrait that replaces nothing."""
AS_FILMED.flags.writeable = False
BLINKS: Final = REPLACEABLE[1]
NOTHING_REPLACED: Final = dict.fromkeys(REPLACEABLE, 0.0)
LABELS: Final = ("Replace Mouth", "Take Out Blinks", "Replace Gaze")
_DESCRIPTIONS: Final = (
    "Let the filmed mouth and jaw fade to the rest's, so that the rig alone speaks: 0 as filmed, 1 the rig's mouth",
    "Keep the eyes as open as at rest, whatever was filmed: 0 as filmed, 1 without blinks; key it around a blink",
    "Let the eyes look where they look at rest, whatever was filmed, and the rig's gaze beside it: 0 as filmed",
)


def add_sliders(rig: bpy.types.Object) -> None:
    """Gives a rig the sliders that it lacks; values that are there stay."""
    for name, description in zip(REPLACEABLE, _DESCRIPTIONS, strict=True):
        value = rig.get(name)
        rig[name] = float(value) if isinstance(value, (float, int)) else 0.0
        rig.id_properties_ui(name).update(
            min=0.0, max=1.0, soft_min=0.0, soft_max=1.0, default=0.0, step=1.0, precision=3, description=description
        )
        rig.property_overridable_library_set(f'["{name}"]', True)


def replaced_of(rig: bpy.types.Object) -> np.ndarray:
    """What the sliders of a rig, as evaluated, say: (3,) float32, see `REPLACEABLE`; as filmed where it has none."""
    values = [rig.get(name) for name in REPLACEABLE]
    said = [value if isinstance(value, (bool, int, float)) else 0.0 for value in values]
    return np.clip(np.array(said, np.float32), 0.0, 1.0)
