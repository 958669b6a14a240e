# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions and visemes that ship: named sets of weights for ARKit's controls.

The visemes are the 15 of Oculus LipSync, whose names (`sil`, `PP` … `ou`) speech tools share. Weights follow the
facial action units that Ekman and Friesen's FACS manual gives for each emotion (2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Weights = Mapping[str, float]
"""{one of `blendshapes.ARKIT_NAMES`: its weight, 0 to 1}; those not named are 0."""


def _weights(both: Mapping[str, float] | None = None, **single: float) -> Weights:
    """`both`: controls with a Left and a Right, by the name without the side."""
    sides = {f"{name}{side}": weight for name, weight in (both or {}).items() for side in ("Left", "Right")}
    return MappingProxyType(sides | single)


EXPRESSIONS: Final[Mapping[str, Weights]] = MappingProxyType({
    "neutral": _weights(),
    "smile": _weights({"mouthSmile": 0.75, "cheekSquint": 0.6, "eyeSquint": 0.15, "mouthDimple": 0.1}),
    "laugh": _weights(
        {"mouthSmile": 0.9, "cheekSquint": 1.0, "eyeSquint": 0.5, "mouthUpperUp": 0.35, "mouthLowerDown": 0.2,
         "browOuterUp": 0.25},
        jawOpen=0.45, browInnerUp=0.2,
    ),
    "sad": _weights(
        {"mouthFrown": 1.0, "browDown": 0.1, "eyeSquint": 0.25, "eyeLookDown": 0.3, "mouthPress": 0.5},
        browInnerUp=0.9, mouthShrugLower=0.3, mouthPucker=0.2, mouthClose=0.2,
    ),
    "angry": _weights(
        {"browDown": 1.0, "eyeWide": 0.35, "eyeSquint": 0.35, "noseSneer": 0.4, "mouthPress": 0.9, "mouthFrown": 0.55},
        mouthRollLower=0.2, mouthPucker=0.3, mouthClose=0.15,
    ),
    "surprised": _weights(
        {"browOuterUp": 1.0, "eyeWide": 1.0}, browInnerUp=0.9, jawOpen=0.5, mouthFunnel=0.35, mouthPucker=0.3,
    ),
    "disgusted": _weights(
        {"noseSneer": 1.0, "mouthUpperUp": 0.55, "browDown": 0.65, "eyeSquint": 0.6, "cheekSquint": 0.6,
         "mouthFrown": 0.6},
        mouthShrugLower=0.35, mouthPucker=0.15,
    ),
    "fear": _weights(
        {"browOuterUp": 0.35, "browDown": 0.2, "eyeWide": 1.0, "mouthStretch": 0.75, "mouthLowerDown": 0.35},
        browInnerUp=1.0, jawOpen=0.25,
    ),
    "wink": _weights(
        eyeBlinkLeft=1.0, cheekSquintLeft=0.8, mouthSmileLeft=0.65, mouthSmileRight=0.25, browDownLeft=0.25,
        browOuterUpRight=0.3,
    ),
    "sleepy": _weights(
        {"eyeBlink": 0.45, "eyeLookDown": 0.2, "browOuterUp": 0.2, "mouthFrown": 0.25}, browInnerUp=0.25, jawOpen=0.06,
    ),
})  # fmt: skip
"""Whole faces; `neutral` is the photo."""

VISEMES: Final[Mapping[str, Weights]] = MappingProxyType({
    "sil": _weights(),
    "PP": _weights({"mouthPress": 0.7}, mouthClose=0.35, mouthRollLower=0.3, mouthRollUpper=0.3),
    "FF": _weights({"mouthUpperUp": 0.3}, jawOpen=0.05, mouthClose=0.16, mouthRollLower=0.8),
    "TH": _weights({"mouthLowerDown": 0.2, "mouthUpperUp": 0.15}, jawOpen=0.16),
    "DD": _weights({"mouthLowerDown": 0.2, "mouthStretch": 0.1}, jawOpen=0.14),
    "kk": _weights({"mouthLowerDown": 0.15, "mouthUpperUp": 0.15, "mouthStretch": 0.1}, jawOpen=0.2),
    "CH": _weights({"mouthLowerDown": 0.2, "mouthUpperUp": 0.2}, jawOpen=0.08, mouthFunnel=0.55, mouthPucker=0.2),
    "SS": _weights({"mouthStretch": 0.35, "mouthLowerDown": 0.25, "mouthDimple": 0.2}, jawOpen=0.04),
    "nn": _weights({"mouthLowerDown": 0.1, "mouthStretch": 0.1}, jawOpen=0.1),
    "RR": _weights(jawOpen=0.12, mouthPucker=0.45, mouthFunnel=0.3),
    "aa": _weights({"mouthLowerDown": 0.15, "mouthUpperUp": 0.1}, jawOpen=0.6),
    "E": _weights({"mouthStretch": 0.35, "mouthDimple": 0.2, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1}, jawOpen=0.3),
    "ih": _weights({"mouthStretch": 0.3, "mouthSmile": 0.15, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1}, jawOpen=0.16),
    "oh": _weights(jawOpen=0.35, mouthFunnel=0.5, mouthPucker=0.45),
    "ou": _weights(jawOpen=0.1, mouthPucker=0.95, mouthFunnel=0.15),
})  # fmt: skip
"""Mouth shapes of speech; `sil` is silence."""

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType({
    "sil": "silence", "PP": "p in “put”", "FF": "f in “fat”", "TH": "th in “think”", "DD": "d in “doll”",
    "kk": "c in “call”", "CH": "ch in “chair”", "SS": "s in “sir”", "nn": "n in “not”", "RR": "r in “red”",
    "aa": "a in “car”", "E": "e in “bed”", "ih": "i in “tip”", "oh": "o in “toe”", "ou": "oo in “book”",
})  # fmt: skip
"""For each viseme a sound and a word in which it is heard."""
