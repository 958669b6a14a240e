# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether pictures show the same person: distances of descriptors, a threshold with known error rates, and where neither
says anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.frames.identity import FrameIdentity, Verdict
from portrait_shared.landmarks import MESH_VERTICES

from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.pose import fit_pose
from portrait_server.recognition.descriptor import MODEL

THRESHOLD: Final = 0.54
"""Distance up to which a face is the same person's; its error rates are in docs/trust.md."""
MEASURE: Final = f"{MODEL}, by eyes and nose, threshold {THRESHOLD}, of photographs"

# Degrees: of heads turned further nothing was measured, for no data shows real people so.
_MOST_TURNED: Final = 30.0
_MOST_NODDED: Final = 25.0
_LEAST_PIXELS: Final = 30.0  # between the outer corners of the eyes


@dataclass(frozen=True)
class Look:
    """A face as a picture shows it.

    Attributes:
        descriptor: (128,); None where `why` says that it would tell nothing.
        why: a few words, else empty.
    """

    descriptor: np.ndarray | None
    why: str = ""


def compared(known: Sequence[Look], seen: Look, digest: str) -> FrameIdentity:
    """What a frame's face is found to be.

    Args:
        known: the same person in each reference.
        digest: the frame's.
    """
    if not is_known(known) or seen.descriptor is None:
        return FrameIdentity(digest, Verdict.CANNOT_TELL, None, seen.why if is_known(known) else known[0].why)
    there = [look.descriptor for look in known if look.descriptor is not None]
    distance = round(min(float(np.linalg.norm(seen.descriptor - one)) for one in there), 4)
    return FrameIdentity(digest, Verdict.RECOGNISED if distance <= THRESHOLD else Verdict.NOT_RECOGNISED, distance)


def is_known(known: Sequence[Look]) -> bool:
    """Whether a reference tells anything, so that frames can be compared with it."""
    return any(look.descriptor is not None for look in known)


def together(faces: Sequence[FrameIdentity]) -> FrameIdentity:
    """One frame's verdict from those of its faces: the worst."""
    order = (Verdict.NOT_RECOGNISED, Verdict.CANNOT_TELL, Verdict.RECOGNISED)
    return min(faces, key=lambda face: (order.index(face.verdict), -(face.distance or 0.0)))


def why_not_seen(points: np.ndarray) -> str:
    """What keeps a face from being described, a few words; empty where nothing does.

    Args:
        points: (70, 2 or 3) pixels of the picture.
    """
    turned, nodded = turn_of(points)
    if abs(turned) > _MOST_TURNED or abs(nodded) > _MOST_NODDED:
        return "the head is turned too far away"
    if np.linalg.norm(points[45, :2] - points[36, :2]) < _LEAST_PIXELS:
        return "the face is too small"
    return ""


def turn_of(points: np.ndarray) -> tuple[float, float]:
    """How far a head is turned to a side and nods, degrees, from its points (70, 2 or 3); the mean face looks straight on."""
    mean = neutral_mesh()[list(MESH_VERTICES)][17:68] * np.ptp(points[:68, :2], axis=0).max()
    rotation = fit_pose(mean, points[17:68, :2]).rotation
    return float(np.degrees(np.arctan2(rotation[0, 2], rotation[2, 2]))), float(np.degrees(np.arcsin(-rotation[1, 2])))
