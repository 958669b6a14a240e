# SPDX-License-Identifier: GPL-3.0-or-later
"""The portraits of one photo with several faces: how one joins, which face has one, who leads when the leading one goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import bpy
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import MAX_OTHER_FACES

from ..blender.problems import SceneError
from ..rig.armature import face_width, rest_points
from .properties import PORTRAIT_PG_portrait
from .scene_portraits import find_portrait, free_name, portraits_of

_OF_ONE_FACE: Final = {
    "name", "uid", "group", "rig", "detected", "face", "found", "references", "reference_index", "personal", "driving", "consent",
}  # fmt: skip
"""All else of a portrait is that of the photo, and the leading one's counts."""
MAX_FACES: Final = MAX_OTHER_FACES + 1
"""Of one photo that can be drawn."""
_SAME_FACE: Final = 0.5
"""Two faces whose middles are nearer to each other than this, in widths of a face, are one."""


def lead_uid(uid: str) -> str:
    """Uid of the portrait that leads those of the same photo; the same uid where the portrait is not there any more."""
    found = find_portrait(uid)
    return found[1].lead.uid if found is not None else uid


def further(portrait: PORTRAIT_PG_portrait) -> list[PORTRAIT_PG_portrait]:
    """The portraits of the photo's other faces than the leading one's, in the order in which all of them are drawn."""
    return portrait.members[1:]


def further_rest(portrait: PORTRAIT_PG_portrait) -> np.ndarray | None:
    """(F, 70, 3) float32 pixels: landmarks of those faces; None where there are none.

    Raises:
        PortraitError: SCENE for a broken rig.
    """
    others = [rest_points(other.rig, other.space) for other in further(portrait)]
    return np.stack(others) if others else None


def rigs(portrait: PORTRAIT_PG_portrait) -> list[bpy.types.Object]:
    """Of all the photo's portraits, the leading one's first; None among them where one was deleted."""
    return [member.rig for member in portrait.members]


def join(uid: str, points: np.ndarray) -> PORTRAIT_PG_portrait:
    """A further portrait on the photo of another, which has no rig yet; Python's references to portraits end with it.

    Args:
        uid: of any of the photo's portraits.
        points: (70, 3) pixels, the landmarks of its face, by which it is named.

    Raises:
        PortraitError: SCENE for a filmed shot; BAD_POINTS where the photo has as many as can be drawn.
    """
    found = find_portrait(uid)
    assert found is not None  # the caller has just had it
    scene, portrait = found
    members = portrait.members
    if portrait.shot.is_filmed:
        raise SceneError(
            "In a filmed shot one face has a rig.",
            "Add the shot once more, and choose the other face for it.",
        )
    if len(members) >= MAX_FACES:
        raise PortraitError(
            ErrorCode.BAD_POINTS, f"Up to {MAX_FACES} faces of a photo can have a rig.",
            "Remove the portrait of another face first.",
        )  # fmt: skip
    lead = members[0]
    if not lead.group:
        lead.group = lead.uid
    number = next((n for n, face in enumerate(lead.found, 1) if _is_same(face.points, points)), len(members) + 1)
    leading, name = lead.uid, f"{lead.name} {number}"
    added = portraits_of(scene).add(name)  # may move all others in memory
    lead = portraits_of(scene).by_uid(leading)
    added.name = free_name(added, name)
    _copy(lead, added)
    added.group = lead.group
    return added


def hand_over(portrait: PORTRAIT_PG_portrait) -> None:
    """Before a leading portrait is removed: the next one takes over what is the photo's. Others change nothing."""
    members = portrait.members
    if portrait == members[0] and len(members) > 1:
        _copy(portrait, members[1])
        for face in portrait.found:
            members[1].found.add().set_points(face.points)


def without_rig(portrait: PORTRAIT_PG_portrait) -> list[tuple[int, np.ndarray]]:
    """The faces that were found on the photo and have no rig: (number from the left, (70, 3) pixels)."""
    members = portrait.members
    numbered = [(number, face.points) for number, face in enumerate(members[0].found, 1)]
    return [(number, points) for number, points in numbered if of_face(members, points) is None]


def of_face(portraits: Sequence[PORTRAIT_PG_portrait], points: np.ndarray) -> PORTRAIT_PG_portrait | None:
    """The one of some portraits of a photo whose face has these landmarks, (70, 3) pixels, about; or None."""
    for portrait in portraits:
        own = portrait.detected_points
        if own is not None and _is_same(own, points):
            return portrait
    return None


def check_face_free(portraits: Sequence[PORTRAIT_PG_portrait], points: np.ndarray) -> None:
    """Raises SCENE where one of some portraits of a photo has that face already, (70, 3) pixels."""
    other = of_face(portraits, points)
    if other is not None:
        raise SceneError(f"That face is the portrait “{other.name}” already.", "Choose another face.")


def _is_same(points: np.ndarray, others: np.ndarray) -> bool:
    apart = np.linalg.norm(points[:, :2].mean(0) - others[:, :2].mean(0))
    return bool(apart < _SAME_FACE * min(face_width(points), face_width(others)))


def _copy(source: PORTRAIT_PG_portrait, target: PORTRAIT_PG_portrait) -> None:
    for prop in source.bl_rna.properties:
        if prop.identifier not in _OF_ONE_FACE and not (prop.is_readonly or prop.is_skip_save):
            setattr(target, prop.identifier, getattr(source, prop.identifier))
