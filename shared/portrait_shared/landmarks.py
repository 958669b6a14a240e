# SPDX-License-Identifier: GPL-3.0-or-later
"""The 70 points: 68 iBUG 300-W landmarks, then the pupil at the picture's left and the one at its right.

Left and right in names are the subject's own, as in iBUG: the right eye is at the picture's left.
Numbers in names are iBUG's, from 1; array indices are from 0. Source of the order: Sagonas et al.,
"300 Faces in-the-Wild Challenge", ICCV-W 2013, figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LANDMARK_COUNT: Final = 70

GROUPS: Final[dict[str, tuple[int, ...]]] = {
    "jaw": tuple(range(0, 17)),
    "right_brow": tuple(range(17, 22)),
    "left_brow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_base": tuple(range(31, 36)),
    "right_eye": tuple(range(36, 42)),
    "left_eye": tuple(range(42, 48)),
    "outer_lip": tuple(range(48, 60)),
    "inner_lip": tuple(range(60, 68)),
    "right_pupil": (68,),
    "left_pupil": (69,),
}


@dataclass(frozen=True)
class Eye:
    """One eye's points: its corners, the picture's left one first, pairs of (upper, lower) lid, and the pupil."""

    corners: tuple[int, int]
    lids: tuple[tuple[int, int], tuple[int, int]]
    pupil: int


EYES: Final = (Eye((36, 39), ((37, 41), (38, 40)), 68), Eye((42, 45), ((43, 47), (44, 46)), 69))
"""The right eye, which is at the picture's left, and the left one."""

NAMES: Final[tuple[str, ...]] = tuple(
    group if group.endswith("pupil") else f"{group}_{index + 1:02d}"
    for group, indices in GROUPS.items()
    for index in indices
)
"""The standard name of each point: ``jaw_01`` … ``inner_lip_68``, ``right_pupil``, ``left_pupil``."""

INDEX_OF: Final[dict[str, int]] = {name: index for index, name in enumerate(NAMES)}


def _mirror() -> tuple[int, ...]:
    mirror = list(range(LANDMARK_COUNT))
    pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
    pairs += [(31, 35), (32, 34)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56)]
    pairs += [(60, 64), (61, 63), (67, 65), (68, 69)]
    for a, b in pairs:
        mirror[a], mirror[b] = b, a
    return tuple(mirror)


MIRROR: Final[tuple[int, ...]] = _mirror()
"""``MIRROR[i]`` is the point that point ``i`` becomes when the face is mirrored left to right."""

POLYLINES: Final[tuple[tuple[tuple[int, ...], bool], ...]] = (
    (GROUPS["jaw"], False),
    (GROUPS["right_brow"], False),
    (GROUPS["left_brow"], False),
    (GROUPS["nose_bridge"], False),
    (GROUPS["nose_base"], False),
    (GROUPS["right_eye"], True),
    (GROUPS["left_eye"], True),
    (GROUPS["outer_lip"], True),
    (GROUPS["inner_lip"], True),
)
"""What is drawn to show a face: (point indices in order, whether the line closes)."""

STABLE: Final[tuple[int, ...]] = (
    *range(0, 4), *range(13, 17), *range(27, 31), 36, 39, 42, 45,
)  # fmt: skip
"""Points that expression hardly moves (upper jaw, nose bridge, eye corners): they tell the head's pose."""

# fmt: off
MESH_VERTICES: Final[tuple[int, ...]] = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 6, 195, 4, 240, 97, 2, 326, 460,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,  # lips
    468, 473,  # pupils
)
# fmt: on
"""The vertex of MediaPipe's face mesh, of 478, at each of the 70 points."""
