# SPDX-License-Identifier: GPL-3.0-or-later
"""What landmarks say of frames: how they move the head's mesh, lids, pupils and teeth. Numbers alone, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_server.drawing.lids import believed
from portrait_server.drawing.noise import steadied
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.face_mesh import MOUTH, VERTEX_COUNT
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.torso import torso_motion

_CORNERS = 36, 45  # the outer ones of both eyes
_SUBNASAL, _CHIN = (31, 32, 33, 34, 35), (7, 8, 9)


@dataclass(frozen=True)
class Motion:
    """How a scene's person moves in N frames.

    Attributes:
        pose: the head's.
        own: (N, 70, 2) what the pose does not explain of the landmarks, as far as it is believed, pixels of the reference.
        vertices: (N, V, 3) of the head's mesh, pixels of the frame, and depth.
        carried: (N, V, 2) how far pose and torso alone move each, pixels of the frame.
        pupils: (N, 2, 2) where they shall be, pixels of the frame.
        closed: (N, 2) how far the upper lids have closed the eyes, see `lids.Lids`.
        shut: (N, 2) bool, which lids meet.
        turn: (N, 2, 2) how the pose carries small distances in the frame.
        skull, jaw: (N, 2) where the middle of the mouth's opening goes with either, pixels of the frame.
        lips: (N, 2) from the left corner of the photo's mouth to the right one, as the pose alone carries it.
    """

    pose: Pose
    own: np.ndarray
    vertices: np.ndarray
    carried: np.ndarray
    pupils: np.ndarray
    closed: np.ndarray
    shut: np.ndarray
    turn: np.ndarray
    skull: np.ndarray
    jaw: np.ndarray
    lips: np.ndarray

    def __len__(self) -> int:
        return len(self.own)

    def depth(self, mesh: HeadMesh) -> np.ndarray:
        """Where the vertices (N, V) lie: unlike in what tells which hides which, the backdrop is not far behind."""
        behind = np.zeros(len(mesh.depth))
        behind[VERTEX_COUNT:] = mesh.body.order - mesh.body.vertices[:, 2]
        return self.vertices[..., 2] - (self.pose.scale * self.pose.rotation[:, 2, 2])[:, None] * behind

    def only(self, frames: slice) -> Motion:
        """The motion of some of the frames."""
        return Motion(
            self.pose.only(frames), self.own[frames], self.vertices[frames], self.carried[frames], self.pupils[frames],
            self.closed[frames], self.shut[frames], self.turn[frames], self.skull[frames], self.jaw[frames],
            self.lips[frames],
        )  # fmt: skip


def motion_of(scene: Scene, targets: np.ndarray, body: np.ndarray | None = None) -> Motion:
    """How a scene moves for target points (N, 70, 2 or 3) in pixels of the reference.

    Args:
        body: (N, 2) how far the shoulders follow and the breath, see `portrait_shared.body`; as usual where None.
    """
    mesh, scale = scene.mesh, scene.scale
    pose = mesh.pose_of(targets)
    posed = mesh.posed_points(pose)
    lids = believed(targets[..., :2], posed)
    across = posed[:, _CORNERS[1]] - posed[:, _CORNERS[0]]
    own = steadied(lids.points - posed, across, mesh.size * pose.scale)
    skin = mesh.spread @ own
    vertices = mesh.moved_by(pose, skin)
    picture = (round(scene.size[0] / scale[0]), round(scene.size[1] / scale[1]))
    vertices[..., :2] += torso_motion(mesh, picture, pose, body)
    carried = scale * (vertices[..., :2] - skin - mesh.vertices[:, :2])
    vertices[..., :2] *= scale
    turn = pose.scale[:, None, None] * pose.rotation[:, :2, :2] * (scale[:, None] / scale)
    skull, jaw = _teeth(scene, pose, own)
    pupils = lids.points[:, 68:70] * scale
    left, right = (carried[:, corner] + mesh.vertices[corner, :2] * scale for corner in scene.mouth.corners)
    return Motion(pose, own, vertices, carried, pupils, lids.closed, lids.shut, turn, skull, jaw, right - left)


def _teeth(scene: Scene, pose: Pose, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of the mouth's opening goes with the skull, and with the jaw: (N, 2) each, pixels of the frame."""
    depth = scene.mesh.vertices[list(MOUTH[0]), 2].mean()
    carried = pose.apply(np.array([[*(scene.mouth.middle / scene.scale), depth]]))[:, 0, :2]
    # The nose's base is fixed to the same bone as the upper teeth, so they share its error against the pose.
    skull = carried + own[:, list(_SUBNASAL)].mean(1)
    return skull * scene.scale, (carried + own[:, list(_CHIN)].mean(1)) * scene.scale
