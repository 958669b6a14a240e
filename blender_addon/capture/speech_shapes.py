# SPDX-License-Identifier: GPL-3.0-or-later
"""Timed visemes as a take of the rig's sliders, each shape flowing into the next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.whole_files import parse_json, read_bounded

from ..rig.blendshapes import ARKIT_NAMES
from ..rig.expression_library import VISEMES
from .takes import Take
from .timing import Placement

_MAX_BYTES: Final = 24 * 2**20  # twice what two hours come to, the longest sound that is listened to
FORMAT: Final = "talking-portraits visemes 1"

# The mouth's shapes are those of the pose library. What differs is what is made of them: a pose holds one shape whole,
# speech blends neighbours by the time they are heard (below), opens further the louder it is, and closes over whatever
# jaw the vowels beside have opened.
_USED: Final = tuple(name for name in ARKIT_NAMES if any(name in shape for shape in VISEMES.values()))
OWNED: Final = tuple(name for name in ARKIT_NAMES if name.startswith(("jaw", "mouth", "tongue")))
"""The sliders that speech keys; those of eyes and brows stay as they are."""

# Cohen and Massaro, "Modeling coarticulation in synthetic visual speech" (1993): each shape's dominance rises before
# its phone and falls after it; the mouth is at the mean of all shapes, weighted by their dominance there.
_DOMINANCE: Final = {"PP": 3.0, "FF": 2.4, "sil": 0.8, "ou": 1.8, "oh": 1.4, "CH": 1.5, "aa": 1.1, "kk": 0.5, "nn": 0.6}
_USUAL_DOMINANCE = 0.8
_ATTACK_SECONDS, _RELEASE_SECONDS = 0.04, 0.04
_REACH = 4.0
_REST_DOMINANCE = 0.02  # where no phone is near the mouth rests
# Lips must meet on a frame that is shown: the eye sees a missed “m” at once.
_MUST_SHOW: Final = ("PP", "FF")
_CLOSING: Final = ("mouthPress", "mouthRoll", "mouthClose")
_SURELY_MET = 0.75
_SOFTEST, _LOUDEST = 0.45, 1.2


@dataclass(frozen=True)
class Speech:
    """What `portrait visemes` heard.

    Attributes:
        visemes: (name, start, end) in seconds of the source, in order.
        start, seconds: the part of the source that was listened to.
        loudness: (N,) 0 to 1.
        loudness_fps: values of it a second.
    """

    visemes: tuple[tuple[str, float, float], ...]
    start: float
    seconds: float
    loudness: np.ndarray
    loudness_fps: float

    @classmethod
    def load(cls, path: Path) -> Speech:
        """Raises: PortraitError: BAD_TRACK for a file that `portrait visemes` did not write."""
        try:
            record: Any = parse_json(read_bounded(path, _MAX_BYTES))
            if record["format"] != FORMAT:
                raise ValueError(f"its format is {described(record['format'])}")
            visemes = tuple((str(name), float(a), float(b)) for name, a, b in record["visemes"])
            values = np.array(record["loudness"]["values"], np.float64)
            fps, start, seconds = float(record["loudness"]["fps"]), float(record["start"]), float(record["seconds"])
            times = np.array([[a, b] for _, a, b in visemes], np.float64).reshape(-1, 2)
            sound = all(map(np.isfinite, (fps, start, seconds))) and np.isfinite(times).all() and values.ndim == 1
            if not (
                sound
                and fps > 0
                and seconds > 0
                and np.isfinite(values).all()
                and all(n in VISEMES for n, _, _ in visemes)
            ):
                raise ValueError("a value is out of its range")
            return cls(visemes, start, seconds, values, fps)
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise PortraitError(
                ErrorCode.BAD_TRACK, f"{path.name} is no file of mouth shapes ({error}).",
                "Write it with `portrait visemes`.",
            ) from error  # fmt: skip


def take_of_speech(speech: Speech, placement: Placement, strength: float = 1.0) -> Take:
    """The mouth on each scene frame of the speech.

    Args:
        strength: of all shapes; 1 for clear speech.

    Raises:
        PortraitError: SCENE where the speech meets no frame of the scene.
    """
    frames = placement.frames_between(speech.start, speech.start + speech.seconds)
    times = np.array([placement.seconds_of(frame) for frame in frames])
    values, meeting = _blend(speech, times, 1 / placement.rate)
    values *= strength
    clock = speech.start + np.arange(len(speech.loudness)) / speech.loudness_fps
    loud = np.interp(times, clock, speech.loudness) if len(clock) else np.zeros(len(times))
    gain = np.stack(
        [
            np.ones(len(times)) if name.startswith(_CLOSING) else _SOFTEST + (_LOUDEST - _SOFTEST) * loud
            for name in _USED
        ],
        axis=1,
    )
    values = np.clip(values * gain, 0.0, 1.0)
    # Lips that meet do so whole, and however far the jaw is on its way.
    met = np.clip(meeting / _SURELY_MET, 0.0, 1.0)
    for name, share in VISEMES["PP"].items():
        column = _USED.index(name)
        values[:, column] = np.maximum(values[:, column], min(strength, 1.0) * share * met)
    closed, opened = (_USED.index(name) for name in ("mouthClose", "jawOpen"))
    values[:, closed] = np.minimum(values[:, closed] + met * values[:, opened], 1.0)
    weights = {name: values[:, column] for column, name in enumerate(_USED) if values[:, column].max(initial=0) > 0.01}
    spoken = any(name != "sil" for name, _, _ in speech.visemes)
    return Take(frames, weights, OWNED, notes=() if spoken else ("No speech was heard in this sound.",))


def _blend(speech: Speech, times: np.ndarray, frame_seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of all shapes by their dominance.

    Returns:
        (T, sliders used) weights, and (T,) the share of the shapes whose lips meet.
    """
    total = np.full(len(times), _REST_DOMINANCE)
    values, meeting = np.zeros((len(times), len(_USED))), np.zeros(len(times))
    for name, start, end in speech.visemes:
        middle, half = (start + end) / 2, (end - start) / 2
        if name in _MUST_SHOW:
            nearest = times[np.argmin(np.abs(times - middle))]
            middle = nearest if abs(nearest - middle) <= frame_seconds else middle
        reach = _REACH * (max(_ATTACK_SECONDS, _RELEASE_SECONDS) + 0.25 * half) + 0.75 * half
        near = slice(np.searchsorted(times, middle - reach), np.searchsorted(times, middle + reach))
        away = times[near] - middle
        fall = np.where(away < 0, _ATTACK_SECONDS, _RELEASE_SECONDS) + 0.25 * half
        outside = np.maximum(np.abs(away) - 0.75 * half, 0.0) / fall
        dominance = _DOMINANCE.get(name, _USUAL_DOMINANCE) * np.exp(-(outside**2))
        total[near] += dominance
        values[near] += dominance[:, None] * [VISEMES[name].get(slider, 0.0) for slider in _USED]
        meeting[near] += dominance * (name == "PP")
    return values / total[:, None], meeting / total
