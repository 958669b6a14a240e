# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a mouth that the first photo keeps shut, from another photo of the person that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from portrait_server.drawing.mouth import OPEN, MouthLayer, build_mouth, openness
from portrait_server.drawing.scene import Scene, resized
from portrait_server.drawing.whites import colours_at
from portrait_server.geometry.face_mesh import CHEEKS, MOUTH
from portrait_server.geometry.head_mesh import HeadMesh

_RIMS = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)  # of the lips, inside
_SUBNASAL, _CHIN = (31, 32, 33, 34, 35), (7, 8, 9)
_LEAST_TURN = 0.93  # cosine of how far the other head may be turned against the first: teeth are not flat
_LIGHTEST = 2.0  # how much lighter or darker one photo may be than the other


def most_open(first: HeadMesh, others: Sequence[np.ndarray]) -> int | None:
    """Which of other photos, by their landmarks (70, 2 or 3), shows a mouth's inside that the first does not; None where
    none does."""
    if not others or _openness(first.points) >= OPEN:
        return None
    facing = [first.pose_of(points).rotation[2, 2] >= _LEAST_TURN for points in others]
    shown = [_openness(points) if near else 0.0 for points, near in zip(others, facing, strict=True)]
    best = int(np.argmax(shown))
    return best if shown[best] >= OPEN else None


def lent_mouth(scene: Scene, image: np.ndarray, mesh: HeadMesh) -> MouthLayer:
    """The scene's mouth with the inside of another photo's, in the first photo's light.

    Args:
        image: (H, W, 3) uint8 or float32, the other photo, see `kernels.levels`.
        mesh: of its head, pixels of it.
    """
    matrix = _from_frame(scene, mesh)
    shrink = max(1.0, float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    small = (max(1, round(image.shape[1] / shrink)), max(1, round(image.shape[0] / shrink)))
    ratio = np.array([small[0] / image.shape[1], small[1] / image.shape[0]])
    matrix = matrix * ratio[:, None]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    photo = cv2.warpAffine(resized(image, small), matrix, scene.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    back = cv2.invertAffineTransform(matrix)

    def brought(points: np.ndarray) -> np.ndarray:
        return (points[..., :2] * ratio) @ back[:, :2].T + back[:, 2]

    vertices = np.column_stack([brought(mesh.vertices), mesh.vertices[:, 2]])
    other = build_mouth(photo, replace(mesh, vertices=vertices), np.ones(2))
    own = np.median(colours_at(scene.photo, scene.mesh.vertices[list(CHEEKS), :2] * scene.scale), axis=0)
    theirs = np.median(colours_at(photo, vertices[list(CHEEKS), :2]), axis=0)
    light = np.clip(own / np.maximum(theirs, 1), 1 / _LIGHTEST, _LIGHTEST).astype(np.float32)
    jaw = (brought(mesh.points[list(_CHIN)]) - scene.mesh.points[list(_CHIN), :2] * scene.scale).mean(0)
    return replace(
        scene.mouth, texture=np.clip(other.texture * light, 0, 255), known=other.known, rimmed=other.known,
        start=other.start, shown=other.openness, jaw=jaw,
    )  # fmt: skip


def _openness(points: np.ndarray) -> float:
    """Height of the opening over its width, by landmarks (70, 2 or 3)."""
    upper, lower = (points[None, list(rim), :2].astype(float) for rim in _RIMS)
    return float(openness(upper, lower)[0])


def _from_frame(scene: Scene, mesh: HeadMesh) -> np.ndarray:
    """From the scene's frame to another photo's pixels, where the nose's base lies, to which the upper teeth are fixed:
    (2, 3)."""
    pose = scene.mesh.pose_of(mesh.points)
    depth = scene.mesh.vertices[list(MOUTH[0]), 2].mean()
    origin, right, down = pose.apply(np.array([[0, 0, depth], [1, 0, depth], [0, 1, depth]], float))[:, :2]
    linear = np.stack([right - origin, down - origin], -1)
    nose, theirs = (points[list(_SUBNASAL), :2].mean(0) for points in (scene.mesh.points, mesh.points))
    return np.column_stack([linear / scene.scale, theirs - linear @ nose])
