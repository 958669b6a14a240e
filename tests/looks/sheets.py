#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of what engines make of photos: turns of the head, speech and laughter, gaze and lids.

`python -m tests.looks.sheets [PHOTO …] [--engines fewshot,warp] [--weights FILE] [--side 1024] --output FOLDER`

Of each photo NAME-turns.jpg, NAME-speech.jpg and NAME-eyes.jpg; of several engines each moment is drawn by one below the
other. To be looked at by a person: nothing here judges.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.detectors.selection import select_face
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.engines.registry import create_engine
from portrait_server.media.images import read_image
from portrait_shared.landmarks import EYES, GROUPS

from blender_addon.rig.blendshapes import combine, shape_offsets
from tests.posing import turned

Weights = dict[str, float]

_COLUMNS = {"turns": 6, "speech": 6, "eyes": 5}
_CELL = 320  # pixels across


def both(name: str, weight: float = 1.0) -> Weights:
    """A control of the left and of the right."""
    return {f"{name}Left": weight, f"{name}Right": weight}


_SIDES: dict[str, Weights] = {
    "": {},
    "right": {"eyeLookOutRight": 1.0, "eyeLookInLeft": 1.0},
    "left": {"eyeLookInRight": 1.0, "eyeLookOutLeft": 1.0},
}  # fmt: skip
_HEIGHTS: dict[str, Weights] = {"up": both("eyeLookUp"), "": {}, "down": both("eyeLookDown")}
GAZES = {
    f"look {height} {side}".strip() if height or side else "rest": weights | across
    for (height, weights), (side, across) in product(_HEIGHTS.items(), _SIDES.items())
}
LIDS = {
    "a quarter shut": both("eyeBlink", 0.25), "half shut": both("eyeBlink", 0.5),
    "three quarters shut": both("eyeBlink", 0.75), "shut": both("eyeBlink"), "wink": {"eyeBlinkLeft": 1.0},
    "half shut, look right": both("eyeBlink", 0.5) | _SIDES["right"],
    "half shut, look left": both("eyeBlink", 0.5) | _SIDES["left"],
    "half shut, look down": both("eyeBlink", 0.5) | both("eyeLookDown"),
    "squint": both("eyeSquint"), "wide": both("eyeWide"), "wide, look up": both("eyeWide") | both("eyeLookUp"),
}  # fmt: skip
SPEECH: dict[str, Weights] = {
    "rest": {},
    "ah": {"jawOpen": 0.45, **both("mouthLowerDown", 0.3)},
    "ee": {"jawOpen": 0.15, **both("mouthStretch", 0.6), **both("mouthUpperUp", 0.4), **both("mouthLowerDown", 0.5)},
    "oo": {"jawOpen": 0.2, "mouthFunnel": 0.7, "mouthPucker": 0.3},
    "m": {**both("mouthPress", 0.6), "mouthRollLower": 0.3},
    "f": {"jawOpen": 0.05, "mouthRollLower": 0.8, **both("mouthUpperUp", 0.4)},
    "smile": {**both("mouthSmile", 0.9), **both("cheekSquint", 0.4)},
    "smile with teeth": {"jawOpen": 0.12, **both("mouthSmile", 0.9), **both("mouthUpperUp", 0.5)},
    "laughter": {"jawOpen": 0.45, **both("mouthSmile"), **both("mouthUpperUp", 0.5), **both("cheekSquint"), **both("eyeSquint", 0.6)},
    "surprise": {"jawOpen": 0.5, "browInnerUp": 1.0, **both("browOuterUp"), **both("eyeWide")},
    "frown": {**both("browDown"), **both("mouthFrown", 0.8)},
    "shout": {"jawOpen": 0.9, **both("mouthStretch", 0.3)},
}  # fmt: skip
TURNS = [{"yaw": yaw} for yaw in (-45, -30, -15, 15, 30, 45)]
TURNS += [{"pitch": -20}, {"pitch": -10}, {"pitch": 10}, {"pitch": 20}, {"roll": -15}, {"roll": 15}]
TALKING_TURNS = [
    {"yaw": -45},
    {"yaw": -30},
    {"yaw": 30},
    {"yaw": 45},
    {"yaw": -30, "pitch": 15},
    {"yaw": 30, "pitch": -15},
]


def sheets(points: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Landmarks (70, 3) of each moment of each sheet, by their names."""
    shapes = shape_offsets(points)
    talking = points + combine(points, {"jawOpen": 0.35, **both("mouthSmile", 0.4)}, shapes)
    turns = {_named(turn): turned(points, **turn) for turn in TURNS}
    turns |= {f"{_named(turn)}, talking": turned(talking, **turn) for turn in TALKING_TURNS}
    posed = {
        name: {moment: points + combine(points, weights, shapes) for moment, weights in moments.items()}
        for name, moments in (("speech", SPEECH), ("eyes", GAZES | LIDS))
    }
    return {"turns": turns} | posed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="*", help="default: scikit-image's astronaut")
    parser.add_argument("--engines", default="fewshot,warp")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--side", type=int, default=1024, help="the longer side of the frames")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    if asked.weights:
        os.environ[WEIGHTS_VARIABLE] = str(asked.weights)
    asked.output.mkdir(parents=True, exist_ok=True)
    engines = [create_engine(name, "cpu") for name in asked.engines.split(",")]
    detector = create_detector("mediapipe")
    for name, photo in _photos(asked.photos):
        scale = asked.side / max(photo.shape[:2])
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        points = select_face(detector.detect(photo), None, name).points.astype(np.float32)
        portraits = [engine.prepare([Reference(np.ascontiguousarray(photo), points)]) for engine in engines]
        for sheet, moments in sheets(points).items():
            rows = np.stack(list(moments.values())).astype(np.float32)
            region = _around_eyes(points, size) if sheet == "eyes" else _around_head(rows, size)
            drawn = [
                [_cell(frame[region], label) for frame, label in zip(frames, moments, strict=True)]
                for frames in (
                    engine.render(portrait, rows, size, False)
                    for engine, portrait in zip(engines, portraits, strict=True)
                )
            ]
            path = asked.output / f"{name}-{sheet}.jpg"
            cv2.imwrite(str(path), _laid_out(drawn, _COLUMNS[sheet])[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
            print(path, flush=True)


def _photos(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    if not paths:
        yield "astronaut", skimage.data.astronaut()
    for path in paths:
        yield path.stem, read_image(path)[..., :3]


def _named(turn: dict[str, float]) -> str:
    return ", ".join(f"{name} {degrees:+}" for name, degrees in turn.items())


def _around_head(points: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """A square around the head of moments (N, 70, 3), shoulders in part, within the picture."""
    low, high = points[..., :2].min((0, 1)), points[..., :2].max((0, 1))
    middle, half = (low + high) / 2 - [0, 0.1 * (high - low)[1]], 0.85 * float((high - low).max())
    return _within(middle - half, middle + half, size)


def _around_eyes(points: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    corners = points[[corner for eye in EYES for corner in eye.corners], :2]
    brows = points[list(GROUPS["right_brow"] + GROUPS["left_brow"]), :2]
    wide = float(np.ptp(corners[:, 0]))
    low = np.array([corners[:, 0].min() - 0.15 * wide, brows[:, 1].min() - 0.05 * wide])
    high = np.array([corners[:, 0].max() + 0.15 * wide, corners[:, 1].max() + 0.25 * wide])
    return _within(low, high, size)


def _within(low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    first, last = (np.clip(np.round(at), 0, size).astype(int) for at in (low, high))
    return slice(first[1], last[1]), slice(first[0], last[0])


def _laid_out(drawn: list[list[np.ndarray]], columns: int) -> np.ndarray:
    """Cells of each engine, in rows of so many; the engines' rows below one another."""
    strips = []
    for start in range(0, len(drawn[0]), columns):
        for cells in drawn:
            row = cells[start : start + columns]
            strips.append(np.hstack(row + [np.zeros_like(row[0])] * (columns - len(row))))
    return np.vstack(strips)


def _cell(frame: np.ndarray, label: str) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = _CELL / width
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cell = cv2.resize(frame, (_CELL, round(height * scale)), interpolation=how)
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, label, (6, len(cell) - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, thickness, cv2.LINE_AA)
    return cell


if __name__ == "__main__":
    main()
