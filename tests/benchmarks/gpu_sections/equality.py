# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a device draws what the processor draws: within 1 of 255 on all but a thousandth of the pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.registry import create_engine

from tests.benchmarks.gpu_sections.material import Plan, device_engine, reference, track
from tests.benchmarks.gpu_sections.report import Row
from tests.posing import blinking, looking, moved, speaking, turned

MOST_APART = 0.1
"""Percent of the pixels of each frame that may differ by more than 1 of 255."""


@dataclass(frozen=True)
class Case:
    """Frames that show one thing.

    Attributes:
        points: (N, 70, 3) pixels of the first reference.
        size: of the frames, a side.
    """

    name: str
    references: tuple[Reference, ...]
    points: np.ndarray
    size: int = 512
    matte: bool = False


def equality(plan: Plan) -> Iterator[Row]:
    """For both engines and each feature the frame that differs most."""
    cases = _cases(plan)
    for name in ("fewshot", "warp"):
        painters = [Painter(create_engine(name, "cpu")), Painter(device_engine(name, plan.device))]
        for case in cases:
            yield _compared(name, painters, case)


def apart(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """The percent of pixels of the worst frame that differ by more than 1 of 255 in some channel, and the most that one does.

    Args:
        one, other: (N, H, W, C), both uint8 or both uint16.
    """
    step = 1 if one.dtype == np.uint8 else 257
    gap = np.abs(one.astype(np.int32) - other).max(-1)
    return float(100 * (gap > step).mean((1, 2)).max()), int(np.ceil(gap.max() / step))


class Painter:
    """Draws cases with an engine, which prepares the same references once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._portraits: dict[tuple[int, ...], object] = {}

    def frames(self, case: Case) -> np.ndarray:
        """(N, H, W, C) of a case."""
        key = tuple(map(id, case.references))
        if key not in self._portraits:
            self._portraits[key] = self._engine.prepare(case.references)
        return self._engine.render(self._portraits[key], case.points, (case.size, case.size), case.matte)


def _compared(name: str, painters: Sequence[Painter], case: Case) -> Row:
    one, other = (painter.frames(case) for painter in painters)
    percent, most = apart(one, other)
    note = f"at most {MOST_APART}; {len(one)} frames of {case.size}², most {most} of 255"
    return Row(f"{name}, {case.name}", percent, "% of pixels", note, percent > MOST_APART)


def _cases(plan: Plan) -> list[Case]:
    photo = reference()
    points, image = photo.points, photo.image
    frames = 2 if plan.short else 6
    usual = track(points, 4 * frames)[1::4]
    half = Reference(np.ascontiguousarray(image[::2, ::2]), points / 2)
    dark = Reference(image // 2, points)
    deep = Reference(image.astype(np.uint16) * 257, points)
    side_on = _seen_from_one_side(photo)
    middle = round(float(points[:68, 0].mean()))
    cut = Reference(np.ascontiguousarray(image[:, middle:]), points - np.float32([middle, 0, 0]))
    wide = np.stack([speaking(looking(points, 0.2, 0.1), 0.02 + 0.1 * part) for part in np.linspace(0, 1, frames)])
    shut = np.stack([blinking(turned(points, yaw=6), part) for part in np.linspace(0.2, 1, frames)])
    mixed = np.stack([blinking(points, 1.0) if i % 2 else speaking(points, 0.12) for i in range(frames)])
    away = np.stack([moved(points, part, part / 3) for part in np.linspace(0.3, 2.5, frames)])
    back = np.stack([turned(side_on.points, yaw=-yaw) for yaw in np.linspace(12, 32, frames)])
    sizes = (64, 256, 1024) if plan.short else (64, 100, 256, 1024, 2048)
    return [
        Case("open mouth and gaze", (photo,), wide),
        Case("lids", (photo,), shut),
        Case("open and shut in one batch", (photo,), mixed),
        Case("far side", (side_on,), back),
        Case("three references", (photo, half, dark), usual),
        Case("matte", (photo,), usual, matte=True),
        Case("16 bits", (deep,), usual),
        Case("half a face at the picture's edge", (cut,), track(cut.points, 4 * frames)[1::4]),
        Case("points beyond the frame", (photo,), away),
        *(Case(f"{size}²", (photo,), usual[:2], size) for size in sizes),
    ]


def _seen_from_one_side(photo: Reference) -> Reference:
    """The photo's head turned to the picture's left, as another photo."""
    engine = create_engine("warp", "cpu")
    drawn = engine.render(engine.prepare([photo]), turned(photo.points, yaw=32)[None], (512, 512), False)[0]
    detector = create_detector("mediapipe")
    points = detector.detect(drawn)[0].points.astype(np.float32)
    detector.close()
    return Reference(drawn, points)
