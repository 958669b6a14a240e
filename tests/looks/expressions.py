#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sheet of what an engine makes of one photo: speech, blinks, gaze, smile, surprise, turns of the head.

`python -m tests.looks.expressions [PHOTO] [--engines fewshot,warp] [--weights FILE] [--side 512] --output SHEET.jpg`

Each moment is drawn by one engine below the other. To be looked at by a person: nothing here judges.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.engines.registry import create_engine
from portrait_server.media.images import read_image

from blender_addon.rig.blendshapes import combine, shape_offsets
from tests.posing import turned

COLUMNS = 8
CELL = 256


def both(name: str, weight: float = 1.0) -> dict[str, float]:
    """A control of the left and of the right."""
    return {f"{name}Left": weight, f"{name}Right": weight}


GAZE_RIGHT = {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
GAZE_LEFT = {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0}
EXPRESSIONS: dict[str, dict[str, float]] = {
    "rest": {},
    "speech: ah": {"jawOpen": 0.45, **both("mouthLowerDown", 0.3)},
    "speech: ee": {"jawOpen": 0.15, **both("mouthStretch", 0.6), **both("mouthUpperUp", 0.4), **both("mouthLowerDown", 0.5)},
    "speech: oo": {"jawOpen": 0.2, "mouthFunnel": 0.7, "mouthPucker": 0.3},
    "speech: m": {"mouthPressLeft": 0.6, "mouthPressRight": 0.6, "mouthRollLower": 0.3},
    "smile": {**both("mouthSmile", 0.9), **both("cheekSquint", 0.4)},
    "smile, teeth": {"jawOpen": 0.12, **both("mouthSmile", 0.9), **both("mouthUpperUp", 0.5)},
    "surprise": {"jawOpen": 0.5, "browInnerUp": 1.0, **both("browOuterUp"), **both("eyeWide")},
    "blink": both("eyeBlink"),
    "half blink": both("eyeBlink", 0.5),
    "wink": {"eyeBlinkLeft": 1.0},
    "squint": both("eyeSquint"),
    "look right": GAZE_RIGHT,
    "look left": GAZE_LEFT,
    "look up": both("eyeLookUp"),
    "look down": both("eyeLookDown"),
    "frown": {**both("browDown"), **both("mouthFrown", 0.8)},
    "shout": {"jawOpen": 0.9, **both("mouthStretch", 0.3)},
}  # fmt: skip
TURNS: dict[str, dict[str, float]] = {
    "yaw -30": {"yaw": -30}, "yaw -15": {"yaw": -15}, "yaw 15": {"yaw": 15}, "yaw 30": {"yaw": 30},
    "pitch -15": {"pitch": -15}, "pitch 15": {"pitch": 15}, "roll -15": {"roll": -15}, "roll 15": {"roll": 15},
}  # fmt: skip


def moments(points: np.ndarray) -> dict[str, np.ndarray]:
    """Landmarks (70, 3) of each moment, by name."""
    shapes = shape_offsets(points)
    posed = {name: points + combine(points, weights, shapes) for name, weights in EXPRESSIONS.items()}
    posed |= {name: turned(points, **turn) for name, turn in TURNS.items()}
    talking = points + combine(points, {"jawOpen": 0.35, **both("mouthSmile", 0.4)}, shapes)
    posed |= {f"{name}, talking": turned(talking, **TURNS[name]) for name in ("yaw -30", "yaw 30")}
    return {name: row.astype(np.float32) for name, row in posed.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?", help="default: scikit-image's astronaut")
    parser.add_argument("--engines", default="fewshot,warp")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--side", type=int, default=512, help="the longer side of the frames")
    parser.add_argument("--only", help="moments whose name holds this")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    if asked.weights:
        os.environ[WEIGHTS_VARIABLE] = str(asked.weights)
    photo = read_image(asked.photo)[..., :3] if asked.photo else skimage.data.astronaut()
    scale = asked.side / max(photo.shape[:2])
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    points = create_detector("mediapipe").detect(photo)[0].points.astype(np.float32)
    chosen = {name: row for name, row in moments(points).items() if not asked.only or asked.only in name}
    region = _region(np.concatenate(list(chosen.values())), size)
    rows = []
    for name in asked.engines.split(","):
        engine = create_engine(name, "cpu")
        portrait = engine.prepare([Reference(np.ascontiguousarray(photo), points)])
        frames = engine.render(portrait, np.stack(list(chosen.values())), size, False)
        rows.append([_cell(frame[region], label) for frame, label in zip(frames, chosen, strict=True)])
    sheet = []
    for start in range(0, len(chosen), COLUMNS):
        for row in rows:
            cells = row[start : start + COLUMNS]
            cells += [np.zeros_like(cells[0])] * (min(COLUMNS, len(chosen)) - len(cells))
            sheet.append(np.hstack(cells))
    cv2.imwrite(str(asked.output), np.vstack(sheet)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _region(points: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """A square around the head, within the picture."""
    low, high = points[..., :2].min(0), points[..., :2].max(0)
    middle, half = (low + high) / 2 - [0, 0.1 * (high - low)[1]], 0.75 * float((high - low).max())
    first = np.clip(np.round(middle - half), 0, size).astype(int)
    last = np.clip(np.round(middle + half), 0, size).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])


def _cell(frame: np.ndarray, label: str) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = CELL / max(height, width)
    drawn = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    cell = np.zeros((CELL, CELL, 3), np.uint8)
    cell[: drawn.shape[0], : drawn.shape[1]] = drawn
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, label, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, thickness, cv2.LINE_AA)
    return cell


if __name__ == "__main__":
    main()
