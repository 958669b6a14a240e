# SPDX-License-Identifier: GPL-3.0-or-later
"""The torso under a head: shoulders that follow the neck as those of people do, and breath."""

from __future__ import annotations

import numpy as np
from portrait_shared.body import BREATHING, HIGHEST, SHOULDERS, USUAL

from portrait_server.geometry.face_mesh import CHIN
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose, rotation_of, vector_of
from portrait_server.geometry.ramps import between, smoothstep

# Lengths are in face sizes (chin to hairline, some 18 cm). How far below the chin the torso begins, and is all torso; and
# where it begins to rest, on a chair or with hands in a lap, and does.
_NECK, _WAIST = (0.05, 0.75), (1.2, 2.4)
_ARMS = (1.4, 2.0)  # and where it begins to end at the sides, and does
_NECK_BASE = 0.45  # below the chin, where the neck meets the shoulders: what they turn about
_HALF_WIDTH, _HALF_DEPTH = 1.3, 0.5  # of the chest, an ellipse seen from above
# The point of a head whose way the shoulders go along with: below the middle of the face and behind it; and which part of
# its way, across and down. Fitted to 66 frames of 8 people who talk (GRID), whose shoulders' way was measured by optical flow
# below the chin: the two ways correlate by 0.83 across and 0.73 down.
_JOINT = (0.0, 0.54, 0.2)
_SHARE = np.array([0.55, 0.38])
_FARTHEST = np.array([0.4, 0.15])  # that they go so, however far the head does
# A head turns by some fifteen degrees on its own before shoulders turn visibly, and then they take a part of the rest.
_ALONE = np.radians(15)
_TURN, _LEAN = 0.4, 0.2
_RISE = 0.15  # of face sizes a radian beyond, when the head looks up
_BREATH_LIFT, _BREATH_WIDTH = 0.05, 0.02  # of a deep breath: about 1 cm at the shoulders, and of the chest's width
# From the picture's edges at the sides, and from the others, within which motion across them fades: beyond there is nothing
# to be moved in. Twice as far as anything is moved that way, so that nothing folds.
_EDGE = np.array([0.8, 0.4])


def torso_motion(mesh: HeadMesh, picture: tuple[int, int], pose: Pose, body: np.ndarray | None) -> np.ndarray:
    """What shoulders and breath add to the motion of a mesh's vertices, by where these are at rest.

    Args:
        picture: (width, height), pixels.
        pose: the head's, of N frames.
        body: (N, 2), see `portrait_shared.body`; as usual where None.

    Returns:
        (N, V, 2) pixels, 0 above the chin.
    """
    size, count = mesh.size, len(pose.rotation)
    body = np.clip(np.broadcast_to(USUAL, (count, 2)) if body is None else body, 0, HIGHEST).astype(float)
    at = (mesh.vertices[:, :2] - mesh.vertices[CHIN, :2]) / size
    torso = between(at[:, 1], *_NECK) * (1 - between(at[:, 1], *_WAIST))
    torso *= 1 - between(np.abs(at[:, 0]), *_ARMS)
    from_neck = np.column_stack(
        [at - (0, _NECK_BASE), -_HALF_DEPTH * np.sqrt(1 - np.clip(at[:, 0] / _HALF_WIDTH, -1, 1) ** 2)]
    )
    turn, shift = _followed(size, pose, body[:, SHOULDERS, None])
    moved = (from_neck @ (rotation_of(turn) - np.eye(3)).swapaxes(-1, -2))[..., :2] + shift[:, None]
    moved += body[:, BREATHING, None, None] * np.column_stack(
        [_BREATH_WIDTH * at[:, 0], np.full(len(at), -_BREATH_LIFT)]
    )
    return moved * (size * torso[:, None] * _within(mesh.vertices[:, :2], picture, _EDGE * size))


def _followed(size: float, pose: Pose, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the shoulders turn, rotation vectors (N, 3), and shift, (N, 2) face sizes.

    Args:
        share: (N, 1), 1 as people's do.
    """
    joint = pose.centre + size * np.array(_JOINT)
    way = (pose.apply(joint[..., None, :])[..., 0, :2] - joint[..., :2]) / size
    shift = _FARTHEST * np.tanh(_SHARE * way / _FARTHEST)
    angles = vector_of(pose.rotation)
    beyond = np.sign(angles) * (np.hypot(angles, _ALONE) - _ALONE)
    shift[:, 1] += _RISE * beyond[:, 0]
    return share * beyond * (0, _TURN, _LEAN), share * shift


def _within(places: np.ndarray, picture: tuple[int, int], margin: np.ndarray) -> np.ndarray:
    """How freely places (V, 2) may move along x and y: 0 to 1, 0 across the edges of the picture."""
    last = np.array(picture) - 1
    return smoothstep(np.minimum(places, last - places) / margin)
