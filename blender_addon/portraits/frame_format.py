# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of what frames' files are: pictures, or OpenEXR files with layers for compositors."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final

from portrait_shared.frames.frame_files import LAYERED, PICTURES
from portrait_shared.layers import in_order

FORMAT: Final[dict[str, Any]] = {
    "name": "Format",
    "description": "Choose what kind of files the frames are",
    "items": (
        ("PNG", "PNG", "Write pictures, which every program shows"),
        ("EXR", "OpenEXR", "Write scene-linear colors and layers for compositors"),
    ),
}
LAYERS: Final[dict[str, Any]] = {
    "name": "Layers",
    "description": "Choose what the files hold beside the colors",
    "items": (
        ("MATTE", "Matte", "Write how far each pixel is the person", 1),
        ("DEPTH", "Depth", "Write how near each pixel is, in face widths, the plane of the photo 0", 2),
        ("MOTION", "Motion", "Write where each pixel goes in the next frame, for a vector blur", 4),
        ("CONFIDENCE", "Confidence", "Write 1 where a pixel is the photo's own, 0 where all is made up", 8),
    ),
    "default": {"MATTE", "DEPTH", "MOTION", "CONFIDENCE"},
    "options": {"ENUM_FLAG"},
}
_NAMES: Final = {
    # What is called motion elsewhere, and as Blender's own vector blur takes it.
    "MATTE": ("matte",), "DEPTH": ("depth",), "MOTION": ("forward", "vector"), "CONFIDENCE": ("confidence",),
}  # fmt: skip


def layers_of(file_format: str, chosen: Set[str]) -> tuple[str, ...]:
    """The layers to be rendered, of `portrait_shared.layers.LAYERS`; none where the files are pictures."""
    if file_format != "EXR":
        return ()
    return in_order(["rgba", *(name for choice in chosen for name in _NAMES[choice])])


def chosen_of(layers: tuple[str, ...]) -> set[str]:
    """What was chosen for some layers: see `layers_of`."""
    return {choice for choice, names in _NAMES.items() if set(names) <= set(layers)}


def suffix_of(layers: tuple[str, ...]) -> str:
    """What the names of the files end with."""
    return LAYERED if layers else PICTURES
