# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether frames show the person of their references: what was found of each, in the file ``identity.json`` beside them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from portrait_shared.files.whole_files import parse_json, read_bounded, write_whole
from portrait_shared.frames.frame_numbers import ranges_of

IDENTITY_FILE: Final = "identity.json"
_MAX_BYTES: Final = 64 * 2**20
_FORM: Final = 1


class Verdict(StrEnum):
    """What a frame shows."""

    RECOGNISED = "recognised"
    NOT_RECOGNISED = "not recognised"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class FrameIdentity:
    """One frame.

    Attributes:
        digest: that its file carries, so that what was found is known to be of these pixels.
        distance: between its face and the nearest of the references', of several faces the farthest; None where nothing
            was measured.
        why: what keeps it from being told, a few words; else empty.
        whom: a hash of the pictures that it was compared with.
    """

    digest: str
    verdict: Verdict
    distance: float | None = None
    why: str = ""
    whom: str = ""


@dataclass(frozen=True)
class Identity:
    """What was found of frames.

    Attributes:
        measure: what measured it, with which threshold; what another measure found counts for nothing.
        threshold: distance up to which a frame is recognised.
        frames: by their numbers.
    """

    measure: str
    threshold: float
    frames: Mapping[int, FrameIdentity] = field(default_factory=dict)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many frames have each verdict."""
        found = Counter(frame.verdict for frame in self.frames.values())
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def share(self) -> float:
        """How much of the frames shows the person, 0 to 1; one of which it cannot be told does not count as one that does.
        0 without frames."""
        return self.counts[Verdict.RECOGNISED] / len(self.frames) if self.frames else 0.0

    def only(self, numbers: Iterable[int]) -> Identity:
        """Of some frames; those that it has not are left out."""
        return Identity(self.measure, self.threshold, {n: self.frames[n] for n in numbers if n in self.frames})

    @property
    def in_words(self) -> str:
        """One line for a person: “recognised in 46 of 48 frames (95.8 %); not in 3, 17; cannot tell of 40-48: …”."""
        of = {verdict: [n for n, frame in self.frames.items() if frame.verdict is verdict] for verdict in Verdict}
        parts = [f"The person is recognised in {len(of[Verdict.RECOGNISED])} of {len(self.frames)} frames"]
        if missed := of[Verdict.NOT_RECOGNISED]:
            parts.append(f"not in {ranges_of(missed)}")
        reasons: dict[str, list[int]] = {}
        for number in of[Verdict.CANNOT_TELL]:
            reasons.setdefault(self.frames[number].why, []).append(number)
        parts += [f"it cannot be told of {ranges_of(numbers)}: {why}" for why, numbers in reasons.items()]
        return "; ".join(parts) + "."

    def save(self, path: Path) -> None:
        """Writes the file at once or not at all.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
        """
        told = {
            "form": _FORM, "measure": self.measure, "threshold": self.threshold, "share": round(self.share, 4),
            "counts": self.counts,
            "frames": [
                {
                    "frame": number, "verdict": frame.verdict,
                    "distance": frame.distance,
                    **({"why": frame.why} if frame.why else {}), "digest": frame.digest,
                    **({"whom": frame.whom} if frame.whom else {}),
                }
                for number, frame in sorted(self.frames.items())
            ],
        }  # fmt: skip
        write_whole(path, (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Identity | None:
        """What such a file says; None where it is missing or damaged: then it is measured again."""
        try:
            told = parse_json(read_bounded(path, _MAX_BYTES))
            return cls(str(told["measure"]), float(told["threshold"]), dict(map(_frame, told["frames"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _frame(told: Mapping[str, Any]) -> tuple[int, FrameIdentity]:
    distance = None if told["distance"] is None else float(told["distance"])
    if distance is not None and not math.isfinite(distance):
        raise ValueError("no distance")
    return int(told["frame"]), FrameIdentity(
        str(told["digest"]), Verdict(told["verdict"]), distance, str(told.get("why", "")), str(told.get("whom", ""))
    )
