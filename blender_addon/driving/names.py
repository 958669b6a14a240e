# SPDX-License-Identifier: GPL-3.0-or-later
"""Which point a bone or an empty stands for, told by its name. Knows nothing of bpy.

Bones of Rigify's human face are placed as in its own metarig: a point lies at a bone's head, or some way along it.
MediaPipe's numbers are vertices of its 478-point face mesh.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from portrait_shared.landmarks import INDEX_OF, LANDMARK_COUNT, MESH_VERTICES, MIRROR, NAMES

from ..rig.blendshapes import ARKIT_NAMES

HEAD: Final = "head"
TARGETS: Final = (HEAD, *NAMES)
"""All that can be driven: the head's handle and the 70 points."""


@dataclass(frozen=True)
class Match:
    """A name that stands for a point.

    Attributes:
        name: of the bone, object or vertex group.
        along: where on a bone the point lies: 0 its head, 1 its tail.
    """

    name: str
    along: float = 0.0


# Rigify's bones on the middle and on the person's left: {index of the point: (bone, how far along it)}.
_RIGIFY_LEFT: Final[dict[int, tuple[str, float]]] = {
    8: ("chin", 0), 9: ("chin.L", 0.5), 10: ("chin.L", 0), 11: ("jaw.L.001", 0.5), 12: ("jaw.L.001", 0),
    13: ("jaw.L", 0.75), 14: ("jaw.L", 0.5), 15: ("jaw.L", 0.25), 16: ("jaw.L", 0),
    22: ("brow.T.L.003", 0), 23: ("brow.B.L.003", 0), 24: ("brow.T.L.002", 0), 25: ("brow.B.L.001", 0),
    26: ("brow.T.L.001", 0),
    27: ("nose", 0), 28: ("nose", 0.33), 29: ("nose", 0.67), 30: ("nose.002", 0), 33: ("nose.004", 0),
    35: ("nose.L.001", 0),
    42: ("lid.B.L", 0), 43: ("lid.T.L.003", 0), 44: ("lid.T.L.002", 0), 45: ("lid.T.L", 0),
    46: ("lid.B.L.002", 0), 47: ("lid.B.L.001", 0),
    51: ("lip.T.L", 0), 52: ("lip.T.L", 0.5), 53: ("lip.T.L.001", 0), 54: ("lip.T.L.001", 1),
    55: ("lip.B.L.001", 0), 56: ("lip.B.L", 0.5), 57: ("lip.B.L", 0),
    62: ("lip.T.L", 0), 63: ("lip.T.L", 0.75), 64: ("lip.T.L.001", 1), 65: ("lip.B.L", 0.75), 66: ("lip.B.L", 0),
    69: ("eye.L", 1),
}  # fmt: skip
_RIGIFY: Final = _RIGIFY_LEFT | {
    MIRROR[index]: (name.replace(".L", ".R"), along)
    for index, (name, along) in _RIGIFY_LEFT.items()
    if MIRROR[index] not in _RIGIFY_LEFT
}
_RIGIFY_PREFIXES: Final = ("DEF-", "", "ORG-")
"""The bones that deform are where the rig's whole motion ends up; a metarig has no prefixes."""
_HEADS: Final = ("head", "def-spine.006", "spine.006", "org-spine.006", "def-head")

_NUMBERED: Final = re.compile(r"(.*?)[ ._-]*(\d+)")
_IBUG_PREFIXES: Final = frozenset(
    ("", "ibug", "dlib", "landmark", "landmarks", "lm", "face_landmark", "face_landmarks", "facial_landmark")
)
_MEDIAPIPE_PREFIXES: Final = frozenset(
    ("mediapipe", "mediapipe_face", "mp", "mp_face", "facemesh", "face_mesh", "face_vertex", "cgt_face_vertex")
)
_FEWEST_NUMBERS: Final = 3  # one or two numbered names are more likely copies that Blender has numbered


def match(names: Iterable[str]) -> dict[str, Match]:
    """What the names stand for: {the head or a point's name: its match}; a name in the project's own way comes first."""
    there = list(dict.fromkeys(names))
    found = _rigify(there)
    found.update(_numbered(there))
    lowered = {name.rpartition(":")[2].lower(): name for name in reversed(there)}
    found.update({target: Match(lowered[target]) for target in NAMES if target in lowered})
    head = next((lowered[name] for name in _HEADS if name in lowered), None)
    if head is not None:
        found[HEAD] = Match(head)
    return {target: found[target] for target in TARGETS if target in found}


def match_sliders(names: Iterable[str]) -> dict[str, str]:
    """Names of shape keys or properties that mean one of the rig's sliders: {ARKit's name: the name given}."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z]", "", name.rpartition(":")[2].lower())
        if plain in _SLIDERS:
            found.setdefault(_SLIDERS[plain], name)
    return found


def _slider_spellings() -> Mapping[str, str]:
    """jawOpen, JawOpen, jaw_open; mouthSmileLeft, mouthSmile_L, MouthSmile.left."""
    spellings = {name.lower(): name for name in ARKIT_NAMES}
    for name in ARKIT_NAMES:
        for side in ("Left", "Right"):
            if name.endswith(side):
                spellings.setdefault(name.removesuffix(side).lower() + side[0].lower(), name)
    return spellings


_SLIDERS: Final = _slider_spellings()


def _rigify(names: list[str]) -> dict[str, Match]:
    """A face is taken for Rigify's where both lips are there: “nose” or “chin” alone may be anything."""
    there = set(names)
    for prefix in _RIGIFY_PREFIXES:
        if {f"{prefix}lip.T.L", f"{prefix}lip.B.L"} <= there:
            return {
                NAMES[index]: Match(prefix + name, along)
                for index, (name, along) in _RIGIFY.items()
                if prefix + name in there
            }
    return {}


def _numbered(names: list[str]) -> dict[str, Match]:
    families: dict[str, dict[int, str]] = defaultdict(dict)
    for name in names:
        parts = _NUMBERED.fullmatch(name.rpartition(":")[2].lower())
        if parts is not None:
            families[parts[1]].setdefault(int(parts[2]), name)
    found: dict[str, Match] = {}
    for prefix, numbers in families.items():
        known = prefix in _IBUG_PREFIXES or prefix in _MEDIAPIPE_PREFIXES
        if not known or len(numbers) < _FEWEST_NUMBERS:
            continue
        if prefix in _MEDIAPIPE_PREFIXES or max(numbers) > LANDMARK_COUNT:
            order = dict(enumerate(MESH_VERTICES))
        else:  # iBUG counts from 1, dlib the same points from 0
            first = 0 if 0 in numbers or prefix == "dlib" else 1
            order = {index: index + first for index in INDEX_OF.values()}
        found.update({NAMES[index]: Match(numbers[number]) for index, number in order.items() if number in numbers})
    return found
