# SPDX-License-Identifier: GPL-3.0-or-later
"""What a made-up person does: an expression by ARKit's names, a gaze, a turn of head and body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from portrait_server.geometry.pose import rotation_of

_YAW, _PITCH, _ROLL = np.radians([45.0, 22.0, 18.0])
_FAR_TURNS: Final = 0.3  # share of moments that look anywhere within the farthest turn, not mostly ahead
_GAZE: Final = np.radians([32.0, 20.0])
_BOTH: Final = ("_L", "_R")


@dataclass(frozen=True)
class Performance:
    """One moment.

    Attributes:
        expression: weights, 0 to 1, by name.
        gaze: (2, 2) radians of each eye, the one at the picture's left first: to the picture's right, and down.
        head, body: (3, 3) rotations on y up, z towards the viewer.
        place: (2,) centimetres to the right and down.
    """

    expression: dict[str, float]
    gaze: np.ndarray
    head: np.ndarray
    body: np.ndarray
    place: np.ndarray


def random_performance(rng: np.random.Generator, turned: float = 1.0) -> Performance:
    """Anything from a still face to a shout, looking anywhere.

    Args:
        turned: share of the farthest turn of the head.
    """
    gaze = _random_gaze(rng)
    expression: dict[str, float] = {}
    for part in (_mouth, _lids, _brows):
        expression |= part(rng, gaze)
    shares = np.clip(rng.normal(0, 0.45, 3), -1, 1)
    if rng.random() < _FAR_TURNS:
        shares[0] = rng.uniform(-1, 1)
    yaw, pitch, roll = turned * shares * (_YAW, _PITCH, _ROLL)
    lean = rng.normal(0, 0.06, 3) + np.array([0, 0.2 * yaw, 0])
    return Performance(
        expression,
        np.stack([gaze + rng.normal(0, 0.015, 2), gaze]),
        rotation_of(np.array([0, 0, roll])) @ rotation_of(np.array([0, yaw, 0])) @ rotation_of(np.array([pitch, 0, 0])),
        rotation_of(lean),
        rng.normal(0, [2.0, 1.5]),
    )


def _random_gaze(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.35:
        return rng.normal(0, 0.06, 2)
    return _GAZE * np.clip(rng.normal(0, 0.5, 2), -1, 1)


def _mouth(rng: np.random.Generator, _: np.ndarray) -> dict[str, float]:
    kind = rng.choice(["speech", "smile", "shout", "still", "odd"], p=[0.42, 0.2, 0.1, 0.12, 0.16])
    u = rng.uniform
    if kind == "speech":
        opened = u(0, 0.45)
        return {
            "jawOpen": opened,
            "mouthFunnel": u(0, 0.8) * (rng.random() < 0.35),
            "mouthPucker": u(0, 0.8) * (rng.random() < 0.3),
            "mouthClose": u(0, 0.7) * opened * (rng.random() < 0.2),
            "mouthShrugUpper": u(0, 0.3),
            "mouthRollLower": u(0, 0.5) * (rng.random() < 0.2),
            **_sides("mouthStretch", u(0, 0.6), rng),
            **_sides("mouthLowerDown", u(0, 0.8), rng),
            **_sides("mouthUpperUp", u(0, 0.6), rng),
            **_sides("mouthSmile", u(0, 0.4), rng),
        }
    if kind == "smile":
        return {
            "jawOpen": u(0, 0.3),
            **_sides("mouthSmile", u(0.3, 1), rng),
            **_sides("mouthUpperUp", u(0, 0.5), rng),
            **_sides("mouthLowerDown", u(0, 0.5), rng),
            **_sides("cheekSquint", u(0, 0.8), rng),
            **_sides("mouthDimple", u(0, 0.4), rng),
        }
    if kind == "shout":
        return {"jawOpen": u(0.45, 1), **_sides("mouthStretch", u(0, 0.6), rng), **_sides("mouthSmile", u(0, 0.5), rng)}
    if kind == "still":
        return {"jawOpen": u(0, 0.04)}
    return {
        "jawLeft": u(0, 0.7) * (rng.random() < 0.4),
        "jawRight": u(0, 0.7) * (rng.random() < 0.4),
        "mouthLeft": u(0, 0.8) * (rng.random() < 0.4),
        "mouthRight": u(0, 0.8) * (rng.random() < 0.4),
        "jawOpen": u(0, 0.4),
        "mouthRollUpper": u(0, 0.7) * (rng.random() < 0.4),
        "mouthRollLower": u(0, 0.7) * (rng.random() < 0.4),
        **_sides("mouthFrown", u(0, 0.8), rng),
        **_sides("mouthPress", u(0, 0.8), rng),
        **_sides("cheekPuff", u(0, 0.7) * (rng.random() < 0.3), rng),
        **_sides("noseSneer", u(0, 0.8) * (rng.random() < 0.5), rng),
    }


def _lids(rng: np.random.Generator, gaze: np.ndarray) -> dict[str, float]:
    """Lids follow the gaze; now and then they close, one alone in a wink."""
    right, down = gaze / _GAZE
    weights: dict[str, float] = {}
    for side, inwards in (("_L", -right), ("_R", right)):
        weights |= {
            f"eyeLookIn{side}": max(inwards, 0.0),
            f"eyeLookOut{side}": max(-inwards, 0.0),
            f"eyeLookDown{side}": max(down, 0.0),
            f"eyeLookUp{side}": max(-down, 0.0),
        }
    chance = rng.random()
    if chance < 0.2:
        weights |= _sides("eyeBlink", rng.uniform(0.2, 1), rng)
    elif chance < 0.32:
        weights |= {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0}
    elif chance < 0.36:
        weights |= {f"eyeBlink{rng.choice(_BOTH)}": 1.0}
    elif chance < 0.5:
        weights |= _sides("eyeWide", rng.uniform(0, 1), rng)
    elif chance < 0.65:
        weights |= _sides("eyeSquint", rng.uniform(0, 1), rng)
    return weights


def _brows(rng: np.random.Generator, _: np.ndarray) -> dict[str, float]:
    chance = rng.random()
    if chance < 0.25:
        return _sides("browInnerUp", rng.uniform(0, 1), rng) | _sides("browOuterUp", rng.uniform(0, 1), rng)
    if chance < 0.45:
        return _sides("browDown", rng.uniform(0, 1), rng)
    return {}


def _sides(name: str, weight: float, rng: np.random.Generator) -> dict[str, float]:
    """Both sides, not quite alike."""
    return {name + side: float(np.clip(weight * rng.uniform(0.8, 1.2), 0, 1)) for side in _BOTH}
