# SPDX-License-Identifier: GPL-3.0-or-later
"""What landmarks say of frames: how they move the head's mesh, lids, pupils and teeth. Numbers alone, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from portrait_shared import landmarks

from portrait_server.drawing.scene import Scene
from portrait_server.geometry.face_mesh import MOUTH
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.torso import torso_motion

_SUBNASAL, _CHIN = (31, 32, 33, 34, 35), (7, 8, 9)
# Share of its open height at which a lid counts as shut, and at which it is taken as it is: what a detector
# calls a closed eye still has a third of its height (the eye aspect ratio falls from about 0.3 to 0.1).
_LID_SHUT, _LID_FREE = 0.3, 0.6
_LID_LEAST = 0.15  # height over width that an open eye is taken to have at least, should the photo's be nearly shut


@dataclass(frozen=True)
class Motion:
    """How a scene's person moves in N frames.

    Attributes:
        pose: the head's.
        own: (N, 70, 2) what the pose does not explain of the landmarks, pixels of the reference.
        vertices: (N, V, 3) of the head's mesh, pixels of the frame, and depth.
        pupils: (N, 2, 2) where they shall be, pixels of the frame.
        shut: (N, 2) bool, which lids meet.
        turn: (N, 2, 2) how the pose carries small distances in the frame.
        skull, jaw: (N, 2) where the middle of the mouth's opening goes with either, pixels of the frame.
    """

    pose: Pose
    own: np.ndarray
    vertices: np.ndarray
    pupils: np.ndarray
    shut: np.ndarray
    turn: np.ndarray
    skull: np.ndarray
    jaw: np.ndarray

    def __len__(self) -> int:
        return len(self.own)

    def only(self, frames: slice) -> Motion:
        """The motion of some of the frames."""
        return Motion(
            self.pose.only(frames), self.own[frames], self.vertices[frames], self.pupils[frames], self.shut[frames],
            self.turn[frames], self.skull[frames], self.jaw[frames],
        )  # fmt: skip


def motion_of(scene: Scene, targets: np.ndarray, body: np.ndarray | None = None) -> Motion:
    """How a scene moves for target points (N, 70, 2 or 3) in pixels of the reference.

    Args:
        body: (N, 2) how far the shoulders follow and the breath, see `portrait_shared.body`; as usual where None.
    """
    mesh, scale = scene.mesh, scene.scale
    pose = mesh.pose_of(targets)
    posed = mesh.posed_points(pose)
    goal, shut = _with_lids_shut(targets[..., :2], posed)
    own = goal - posed
    vertices = mesh.moved(pose, own)
    picture = (round(scene.size[0] / scale[0]), round(scene.size[1] / scale[1]))
    vertices[..., :2] += torso_motion(mesh, picture, pose, body)
    vertices[..., :2] *= scale
    turn = pose.scale[:, None, None] * pose.rotation[:, :2, :2] * (scale[:, None] / scale)
    skull, jaw = _teeth(scene, pose, own)
    return Motion(pose, own, vertices, goal[:, 68:70] * scale, shut, turn, skull, jaw)


def _with_lids_shut(target: np.ndarray, posed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The targets (N, 70, 2) with nearly closed lids brought together; for each eye whether they are (N, 2)."""
    goal, shut = np.array(target, float), np.zeros((len(target), 2), bool)
    for number, eye in enumerate(landmarks.EYES):
        left, right = eye.corners
        above, below = (list(lid) for lid in zip(*eye.lids, strict=True))
        wide = np.linalg.norm(posed[:, right] - posed[:, left], axis=-1)
        high = np.linalg.norm(posed[:, below] - posed[:, above], axis=-1).mean(1)
        across = goal[:, right] - goal[:, left]
        down = np.stack([-across[:, 1], across[:, 0]], -1)
        down /= np.linalg.norm(down, axis=-1, keepdims=True) + 1e-6
        now = ((goal[:, below] - goal[:, above]) * down[:, None]).sum(-1).mean(1)
        share = now / np.maximum(np.maximum(high, _LID_LEAST * wide), 1e-6)
        open_ = between(share, _LID_SHUT, _LID_FREE)[:, None, None]
        meet = goal[:, above] + 0.65 * (goal[:, below] - goal[:, above])
        goal[:, above], goal[:, below] = meet + open_ * (goal[:, above] - meet), meet + open_ * (goal[:, below] - meet)
        shut[:, number] = open_[:, 0, 0] == 0
    return goal, shut


def _teeth(scene: Scene, pose: Pose, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of the mouth's opening goes with the skull, and with the jaw: (N, 2) each, pixels of the frame."""
    depth = scene.mesh.vertices[list(MOUTH[0]), 2].mean()
    carried = pose.apply(np.array([[*(scene.mouth.middle / scene.scale), depth]]))[:, 0, :2]
    # The nose's base is fixed to the same bone as the upper teeth, so they share its error against the pose.
    skull = carried + own[:, list(_SUBNASAL)].mean(1)
    return skull * scene.scale, (carried + own[:, list(_CHIN)].mean(1)) * scene.scale
