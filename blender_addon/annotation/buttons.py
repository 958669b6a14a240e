# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of buttons over the viewport while points are placed, so that the mouse alone suffices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .annotation import Annotation

_GAP = 4.0
_GROUP_GAP = 16.0
_PADDING = 12.0
_HEIGHT = 26.0
_MARGIN = 14.0  # below the region's free upper edge


@dataclass(frozen=True)
class Button:
    """One button.

    Attributes:
        label: what is written on it; action: what it does, as `ACTIONS` names it.
        left, bottom, width, height: pixels of the region.
        on: whether it is lit.
    """

    label: str
    action: str
    left: float
    bottom: float
    width: float
    height: float
    on: bool

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.left + self.width and self.bottom <= y <= self.bottom + self.height


ACTIONS: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (("Face", "FACE"), ("Parts", "PARTS"), ("Points", "POINTS")),
    (("Mirror", "MIRROR"), ("Undo", "UNDO"), ("Redo", "REDO")),
    (("Done", "DONE"), ("Cancel", "CANCEL")),
)
"""(label, action) of the buttons, in groups."""


def row_of_buttons(
    annotation: Annotation, free: tuple[float, float, float], scale: float, text_width: Callable[[str], float]
) -> list[Button]:
    """The buttons, side by side in the middle of what is free.

    Args:
        free: left, right and upper edge of the region's free part, pixels.
        scale: of Blender's interface.
        text_width: of a label, pixels.
    """
    left, right, top = free
    widths = {label: text_width(label) + 2 * _PADDING * scale for group in ACTIONS for label, _ in group}
    gaps = sum((len(group) - 1) * _GAP for group in ACTIONS) + (len(ACTIONS) - 1) * _GROUP_GAP
    x = max(left + _GAP, (left + right - sum(widths.values()) - gaps * scale) / 2)
    bottom = top - (_MARGIN + _HEIGHT) * scale
    buttons = []
    for group in ACTIONS:
        for label, action in group:
            on = annotation.mirror if action == "MIRROR" else action == annotation.level.name
            buttons.append(Button(label, action, x, bottom, widths[label], _HEIGHT * scale, on))
            x += widths[label] + _GAP * scale
        x += (_GROUP_GAP - _GAP) * scale
    return buttons
