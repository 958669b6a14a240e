#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a photo's detail an engine keeps: gradient energy over the face, against the photo's own.

`python tests/benchmarks/sharpness.py [--weights FILE]`

The portrait is small, so at 1024 and 2048 pixels it gets a fine grain of its own: what an engine blurs shows. The
head is turned and speaks; 1 is as sharp as the photo. The next column draws the frame at 256 pixels and enlarges it. The
last two are of the boxes of mouth and eyes, where teeth and lashes may be made up: against the skin of the same frame.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.engines.warp import WarpEngine

from blender_addon.rig.blendshapes import shape_offsets

SIDES = (512, 1024, 2048)
GRAIN = 6.0  # standard deviation, of 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    weights = parser.parse_args().weights or find_weights()
    engines: dict[str, Engine] = {"fewshot": FewshotEngine("cpu", weights), "warp": WarpEngine()}
    small = np.ascontiguousarray(skimage.data.astronaut())
    found = create_detector("mediapipe").detect(small)[0].points
    print(f"{'size':>6} {'engine':>8} {'sharpness':>10} {'from 256':>9} {'mouth':>6} {'eyes':>6}")
    for side in SIDES:
        photo, points = _photo(small, side), (found * (side / 512)).astype(np.float32)
        target = points + 0.3 * shape_offsets(points)["jawOpen"] + np.array([side / 60, side / 100, 0])
        own = _energy(photo, points)
        for name, engine in engines.items():
            portrait = engine.prepare([Reference(photo, points)])
            frame = engine.render(portrait, target[None].astype(np.float32), (side, side), False)[0]
            coarse = engine.render(portrait, target[None].astype(np.float32), (256, 256), False)[0]
            coarse = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
            kept, blurred = _energy(frame, target) / own, _energy(coarse, target) / own
            skin = _energy(frame, target)
            mouth, eyes = (_boxes(frame, target, groups) / skin for groups in (((60, 68),), ((36, 42), (42, 48))))
            print(f"{side:6} {name:>8} {kept:10.2f} {blurred:9.2f} {mouth:6.2f} {eyes:6.2f}", flush=True)


def _photo(small: np.ndarray, side: int) -> np.ndarray:
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    if side > small.shape[0]:
        large += np.random.default_rng(1).normal(0, GRAIN, (side, side, 1))
    return np.clip(np.round(large), 0, 255).astype(np.uint8)


def _energy(frame: np.ndarray, points: np.ndarray) -> float:
    """Mean squared gradient of the skin: the face without eyes and mouth, which open and close."""
    inside = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(points[:68, :2]).astype(np.int32)), 1)
    for part in (points[36:42], points[42:48], points[48:60]):
        cv2.fillConvexPoly(inside, cv2.convexHull(np.round(part[:, :2]).astype(np.int32)), 0)
    return float(_gradients(frame)[inside[:-1, :-1] > 0].mean())


def _boxes(frame: np.ndarray, points: np.ndarray, groups: Sequence[tuple[int, int]]) -> float:
    """The same of the boxes around landmarks, from the first up to the last of each group."""
    found = []
    for first, last in groups:
        (left, top), (right, bottom) = (getattr(points[first:last, :2], end)(0).astype(int) for end in ("min", "max"))
        found.append(_gradients(frame)[top:bottom, left:right].ravel())
    return float(np.concatenate(found).mean())


def _gradients(frame: np.ndarray) -> np.ndarray:
    """Squared gradients (H - 1, W - 1) of a frame's light."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.diff(grey, axis=1)[:-1] ** 2 + np.diff(grey, axis=0)[:, :-1] ** 2


if __name__ == "__main__":
    main()
