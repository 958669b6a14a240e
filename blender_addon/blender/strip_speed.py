# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips that play their media frame by frame, and those whose speed was changed."""

from __future__ import annotations

from typing import Any, Final

import bpy

from . import compat
from .problems import SceneError

_PLAIN: Final = "Reset its speed (Strip › Retiming), or choose the file itself."


def check_plain_speed(scene: bpy.types.Scene, strip: Any) -> None:
    """Raises SCENE for a strip that plays at another speed than its media, or backwards."""
    strips = compat.strips_of(scene.sequence_editor)
    if compat.is_retimed(strip):
        raise SceneError(f"The speed of the strip “{strip.name}” was changed by retiming.", _PLAIN)
    if getattr(strip, "use_reverse_frames", False):
        raise SceneError(f"The strip “{strip.name}” plays backwards.", "Turn Reverse Frames off, or choose the file.")
    if any(other.type == "SPEED" and other.input_1 == strip for other in strips):
        raise SceneError(f"A Speed effect lies on the strip “{strip.name}”.", "Remove it, or choose the file itself.")
