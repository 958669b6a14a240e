# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes short videos of a moving face, each with what makes videos hard: `write(kind, path)`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data

from tests.server.video_files import turn_display, write_video

FRAMES = 12
SIDE = 288
STEP_PIXELS = 3  # the face goes so far to the right on each frame
KINDS = ("plain", "gap", "cut", "nobody", "two", "variable", "ten_bit", "rotated")


def _frames() -> list[np.ndarray]:
    photo = np.ascontiguousarray(skimage.data.astronaut()[:SIDE, 80 : 80 + SIDE])
    shifts = [np.float32([[1, 0, STEP_PIXELS * n - 18], [0, 1, 0]]) for n in range(FRAMES)]
    return [cv2.warpAffine(photo, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT) for shift in shifts]


def write(kind: str, path: Path) -> None:
    """Args: kind: one of `KINDS`."""
    frames = _frames()
    times, pixel_format = None, "yuv420p"
    if kind == "nobody":
        frames = [np.full((SIDE, SIDE, 3), 90, np.uint8)] * 5
    elif kind == "gap":
        frames[5:8] = [np.full((SIDE, SIDE, 3), 90, np.uint8)] * 3
    elif kind == "cut":
        far = cv2.resize(frames[6], (160, 160), interpolation=cv2.INTER_AREA)
        wide = np.full((SIDE, SIDE, 3), (30, 60, 20), np.uint8)
        wide[100:260, 10:170] = far
        frames[6:] = [wide] * 6
    elif kind == "two":
        frames = [np.hstack([frame, cv2.resize(frame, (SIDE, SIDE))[:, ::-1]]) for frame in frames]
    elif kind == "variable":
        times = [0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.4, 0.44, 0.48, 0.6, 0.64, 0.68]
    elif kind == "ten_bit":
        pixel_format = "yuv420p10le"
    elif kind == "rotated":
        frames = [np.rot90(frame) for frame in frames]
    write_video(path, frames, fps=25, times=times, pixel_format=pixel_format)
    if kind == "rotated":
        turn_display(path, 90)
