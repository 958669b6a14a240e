# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the trembling out of tracked landmarks without delay, and keeps blinks and speech.

The head's rigid motion is smoothed as a whole. What is left, the face as seen from the head, is smoothed
by a bilateral filter: frames count as neighbours only where that part of the face looks alike, so that noise
is averaged and a blink, far larger than the noise, stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import GROUPS, STABLE
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation

_POSE_WINDOW_SECONDS = 0.36
_MIN_FRAMES = 5


@dataclass(frozen=True)
class _Strength:
    """How a part of the face is smoothed.

    Attributes:
        reach_s: standard deviation in time, seconds.
        alike: root mean square distance of its points, in parts of the face's size, up to which it is unchanged.
    """

    reach_s: float
    alike: float


_FIRM: Final = _Strength(reach_s=0.16, alike=0.02)
_QUICK: Final = _Strength(reach_s=0.08, alike=0.006)
_PARTS: Final[tuple[tuple[tuple[str, ...], _Strength], ...]] = (
    (("jaw",), _FIRM),
    (("nose_bridge", "nose_base"), _FIRM),
    (("right_brow",), _QUICK),
    (("left_brow",), _QUICK),
    (("right_eye",), _QUICK),
    (("left_eye",), _QUICK),
    (("right_pupil",), _QUICK),
    (("left_pupil",), _QUICK),
    (("outer_lip", "inner_lip"), _QUICK),
)


def smooth(points: np.ndarray, fps: float) -> np.ndarray:
    """Landmarks without their trembling; every frame is seen with as much future as past, so nothing lags.

    Args:
        points: (T, 70, 3) pixels.

    Returns:
        (T, 70, 3) float32.
    """
    if len(points) < _MIN_FRAMES:
        return points.astype(np.float32)
    points = points.astype(np.float64)
    rotations, scales, middles = _head_poses(points[:, list(STABLE)])
    in_head = np.einsum("tpi,tij->tpj", points - middles[:, None], rotations.as_matrix()) / scales[:, None, None]
    size = float(np.ptp(in_head[0, :68, :2], axis=0).max())
    for names, strength in _PARTS:
        indices = [index for name in names for index in GROUPS[name]]
        in_head[:, indices] = _bilateral(in_head[:, indices], strength.reach_s * fps, strength.alike * size)
    rotations, scales, middles = _smooth_poses(rotations, scales, middles, fps)
    back = np.einsum("tpj,tij->tpi", in_head, rotations.as_matrix())
    return (back * scales[:, None, None] + middles[:, None]).astype(np.float32)


def _head_poses(stable: np.ndarray) -> tuple[Rotation, np.ndarray, np.ndarray]:
    """The similarity that best carries the first frame's points to each frame's, least squares.

    Args:
        stable: (T, S, 3).

    Returns:
        T rotations, scales (T,), middles (T, 3): point = scale * rotation(reference) + middle.
    """
    middles = stable.mean(1)
    centred = stable - middles[:, None]
    spread = np.sqrt((centred**2).sum((1, 2)))
    rotations = Rotation.concatenate([Rotation.align_vectors(frame, centred[0])[0] for frame in centred])
    return rotations, spread / spread[0], middles


def _smooth_poses(
    rotations: Rotation, scales: np.ndarray, middles: np.ndarray, fps: float
) -> tuple[Rotation, np.ndarray, np.ndarray]:
    frames = len(scales)
    window = min(max(5, 2 * round(_POSE_WINDOW_SECONDS * fps / 2) + 1), frames - 1 + frames % 2)
    # Turns are measured from the middle of all poses, where rotation vectors are far from their limit of 180 degrees.
    mean = rotations.mean()
    poses = np.column_stack([(mean.inv() * rotations).as_rotvec(), np.log(scales), middles])
    poses = savgol_filter(poses, window, polyorder=2, axis=0, mode="interp")
    return mean * Rotation.from_rotvec(poses[:, :3]), np.exp(poses[:, 3]), poses[:, 4:]


def _bilateral(part: np.ndarray, reach_frames: float, alike: float) -> np.ndarray:
    """Each frame's part as the mean of those near it in time and in shape.

    Args:
        part: (T, P, 3).
        reach_frames: standard deviation in time.
        alike: standard deviation of the shapes' root mean square distance.
    """
    total = part.copy()
    weights = np.ones(len(part))
    for offset in range(1, min(len(part) - 1, int(np.ceil(3 * reach_frames))) + 1):
        earlier, later = part[:-offset], part[offset:]
        distance = ((earlier - later) ** 2).sum(2).mean(1)
        weight = np.exp(-0.5 * ((offset / reach_frames) ** 2 + distance / alike**2))
        total[:-offset] += weight[:, None, None] * later
        total[offset:] += weight[:, None, None] * earlier
        weights[:-offset] += weight
        weights[offset:] += weight
    return total / weights[:, None, None]
