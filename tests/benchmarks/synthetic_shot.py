# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot whose face is known in every frame: a photograph that sways before the camera, as H.264."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_shared.track import LandmarkTrack
from skimage.data import astronaut

_LOOP = 100  # frames that are encoded; a longer shot repeats their packets
_FPS = 25
_SHOWN = 0.56  # of the photograph's height: its face takes a third of the frame's


def write_shot(path: Path, size: tuple[int, int], count: int) -> tuple[LandmarkTrack, LandmarkTrack]:
    """Writes `count` frames of (width, height) pixels. Returns: the points of each, and these with a mouth that opens."""
    width, height = size
    side = round(height / _SHOWN)
    photo = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
    reach = height // 20
    canvas = cv2.copyMakeBorder(photo, reach, reach, width, width, cv2.BORDER_REFLECT)
    left = width + round(0.44 * side) - width // 2  # the face's middle is the frame's
    phase = 2 * np.pi * np.arange(_LOOP) / _LOOP
    sway = np.round(np.column_stack([reach * np.sin(phase), reach / 2 * np.cos(phase)])).astype(int)
    corners = sway + np.array([left, reach])
    frames = [canvas[y : y + height, x : x + width] for x, y in corners.tolist()]
    _encode(path, frames, count)
    detector = MediaPipeDetector()
    face = detector.detect(np.ascontiguousarray(frames[0]))[0]
    detector.close()
    assert face.mesh478 is not None
    moved = np.zeros((count, 1, 3), np.float32)
    moved[:, 0, :2] = (sway[0] - sway)[np.arange(count) % _LOOP]
    found = LandmarkTrack(face.points + moved, size, _FPS, extra={"mesh478": face.mesh478 + moved})
    targets = found.points.copy()
    opening = height / 60 * (1.1 - np.cos(np.arange(count) * 2 * np.pi / 12))
    targets[:, [55, 56, 57, 58, 59, 65, 66, 67, *range(6, 11)], 1] += opening[:, None].astype(np.float32)
    return found, LandmarkTrack(targets, size, _FPS)


def _encode(path: Path, frames: list[np.ndarray], count: int) -> None:
    """The frames over and over: what is encoded once is written again with later times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "crf": "22", "bf": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        packets: list[tuple[bytes, int, bool]] = []
        for number, pixels in enumerate([*frames, None]):
            frame = None
            if pixels is not None:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, _FPS)
            packets += [(bytes(packet), packet.pts, packet.is_keyframe) for packet in stream.encode(frame)]
        for number in range(count):
            content, pts, is_key = packets[number % len(packets)]
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, _FPS)
            packet.pts = packet.dts = pts + number // len(packets) * len(packets)
            packet.is_keyframe = is_key
            container.mux(packet)
