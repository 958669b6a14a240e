# SPDX-License-Identifier: GPL-3.0-or-later
"""The points that were found in a shot, read once, and what a rig makes of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.performance import Performance
from portrait_shared.shots import ShotIdentity, is_unchanged, performance_digest
from portrait_shared.track import LandmarkTrack

from ..blender.problems import Fix, SceneError
from ..rig.sampling import RigSample
from .properties import PORTRAIT_PG_shot

_KEPT: Final = 4

_read: OrderedDict[tuple[Path, int, int], LandmarkTrack] = OrderedDict()
_made: OrderedDict[tuple[tuple[Path, int, int], bytes], Filmed] = OrderedDict()


@dataclass(frozen=True, eq=False)
class Filmed:
    """A shot's points, seen from the one that a rig rests on.

    Attributes:
        track: as `portrait landmarks` has found them.
        performance: the same, to be changed by a rig.
        identity: the shot that they were found in.
        digest: see `performance_digest`.
    """

    track: LandmarkTrack
    performance: Performance
    identity: ShotIdentity
    digest: str

    def targets(self, rows: Sequence[int], samples: Sequence[RigSample]) -> np.ndarray:
        """Where the face is to be in some frames of the shot, (N, 70, 3) float32; where none was found, as the track has it.

        Args:
            rows: (N,) the frames, counted from 0.
            samples: (N,) what the rig says at them.
        """
        at = np.asarray(rows, int)
        rig, replaced = np.stack([each.points for each in samples]), np.stack([each.replaced for each in samples])
        targets = self.performance.changed(at, rig, replaced)
        unseen = ~self.detected[at]
        targets[unseen] = self.track.points[at[unseen]]
        return targets

    def changed(self, rows: Sequence[int], targets: np.ndarray) -> np.ndarray:
        """Which frames are drawn and not the shot's own, (N,) bool."""
        return ~is_unchanged(targets, self.track.points[np.asarray(rows, int)])

    @property
    def detected(self) -> np.ndarray:
        """(T,) bool: in which frames a face was found."""
        return np.asarray(self.track.extra.get("detected", np.ones(len(self.track), bool)), bool)

    def notes(self) -> list[str]:
        """What the user should know of the shot, in sentences."""
        unseen, notes = int((~self.detected).sum()), []
        if unseen:
            where = np.flatnonzero(~self.detected)[0]
            notes.append(f"No face was found in {unseen} of {len(self.track)} frames, first in frame {where + 1} of the "
                         "shot: they stay as filmed.")  # fmt: skip
        cuts = np.flatnonzero(self.track.extra.get("cuts", np.zeros(0, bool)))
        cuts = cuts[cuts > 0]
        if len(cuts):
            notes.append(f"The shot has {len(cuts)} cut{'s' if len(cuts) > 1 else ''}, first at frame {cuts[0] + 1}: make "
                         "sure that the same person is meant behind each.")  # fmt: skip
        return notes


def filmed(shot: PORTRAIT_PG_shot, rest: np.ndarray) -> Filmed:
    """The points of a shot, from memory where the file has not changed.

    Args:
        rest: (70, 3) pixels, the rig's.

    Raises:
        PortraitError: FILE_MISSING, BAD_TRACK, each with the fix *Find Points Again*.
    """
    key = _stamp(shot.points_path)
    found = _made.get((key, rest.tobytes()))
    if found is None:
        track = _load(key)
        identity = ShotIdentity.of_track(track)
        if track.points.shape[-1] != 3 or identity is None:
            raise _lost(ErrorCode.BAD_TRACK, f"{key[0].name} was not made of the shot by this version.")
        found = Filmed(track, Performance(track.points, rest), identity, performance_digest(track))
        _keep(_made, (key, rest.tobytes()), found)
    if len(found.track) != shot.count:
        raise _lost(
            ErrorCode.BAD_TRACK, f"{key[0].name} has points for {len(found.track)} frames, and the shot {shot.count}."
        )
    return found


def _load(key: tuple[Path, int, int]) -> LandmarkTrack:
    if key not in _read:
        try:
            _keep(_read, key, LandmarkTrack.load(key[0]))
        except PortraitError as error:
            raise _lost(error.code, error.message) from error
    return _read[key]


def _keep(held: OrderedDict, key: object, value: object) -> None:
    held[key] = value
    while len(held) > _KEPT:
        held.popitem(last=False)


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        status = path.stat()
    except OSError:
        raise _lost(ErrorCode.FILE_MISSING, f"The points of the shot, {path}, are no longer there.") from None
    return path, status.st_mtime_ns, status.st_size


def _lost(code: ErrorCode, message: str) -> SceneError:
    return SceneError(message, "Put the file back, or find the points again.", Fix.FIND_POINTS, code)
