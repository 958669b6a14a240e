# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sliders of the body below the head: how far the shoulders follow the neck, and breath. They move no bones."""

from __future__ import annotations

from typing import Final, NamedTuple

import bpy
import numpy as np
from portrait_shared.body import HIGHEST, USUAL


class BodySlider(NamedTuple):
    """A slider from 0 to `high`.

    Attributes:
        usual: what it is on a portrait that nobody has touched.
    """

    label: str
    usual: float
    high: float
    description: str


BODY_SLIDERS: Final = {
    "shoulders": BodySlider(
        "Shoulders", float(USUAL[0]), HIGHEST[0],
        "Let the shoulders follow the head's turn, tilt and place: 0 holds them still, 1 as people's do, 2 twice as far",
    ),
    "breathing": BodySlider(
        "Breathing", float(USUAL[1]), HIGHEST[1],
        "Draw a breath that lifts the shoulders: 0 as in the photo, 1 deep",
    ),
}  # fmt: skip
"""By the name of the property; in the order in which a frame says of the body."""

USUAL_BODY: Final = {name: slider.usual for name, slider in BODY_SLIDERS.items()}


def add_body_sliders(rig: bpy.types.Object) -> None:
    """Gives the rig those that it lacks; values that are there stay."""
    for name, slider in BODY_SLIDERS.items():
        value = rig.get(name)
        rig[name] = float(value) if isinstance(value, (float, int)) else slider.usual
        rig.id_properties_ui(name).update(
            min=0.0, max=slider.high, soft_min=0.0, soft_max=slider.high, default=slider.usual, step=1.0, precision=3,
            description=slider.description,
        )  # fmt: skip
        rig.property_overridable_library_set(f'["{name}"]', True)


def body_of(rig: bpy.types.Object) -> np.ndarray:
    """What the sliders of a rig, as evaluated, say of the body: (2,) float32; as usual where it has none."""
    values = [rig.get(name) for name in BODY_SLIDERS]
    said = [
        value if isinstance(value, (bool, int, float)) else usual for value, usual in zip(values, USUAL, strict=True)
    ]
    return np.array(said, np.float32)
