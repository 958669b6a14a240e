# SPDX-License-Identifier: GPL-3.0-or-later
"""The two trials of an engine: a person's own motion, whose real frames are known, and another person's."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.engines.base import Engine, Reference
from portrait_server.evaluation.clips import Clip
from portrait_server.evaluation.dlib_faces import DlibFace, DlibFaces
from portrait_server.evaluation.metrics import compare, picture_scale
from portrait_server.evaluation.transfer import transfer
from portrait_server.geometry.reference_mesh import with_depth

# dlib takes longer than all else together, and looks at one frame in so many: neighbours hardly differ.
_DLIB_EVERY = 4


@dataclass(frozen=True)
class Trial:
    """What one portrait did on one clip.

    Attributes:
        figures: by column; those of dlib only where it is installed.
        numbers: the frames that were scored, indices into the driving clip.
        made: (H, W, 3) uint8 the rendered picture of each of them.
    """

    figures: dict[str, float]
    numbers: list[int]
    made: list[np.ndarray]


def reference_numbers(frames: int, references: int) -> list[int]:
    """The first frame and others evenly apart."""
    return [i * frames // references for i in range(references)]


def scored_numbers(frames: int, reference_counts: Sequence[int]) -> list[int]:
    """The frames that are a reference at none of the counts, so that all are scored on the same ones."""
    used = {number for count in reference_counts for number in reference_numbers(frames, count)}
    return [number for number in range(frames) if number not in used]


def check_length(clip: Clip, reference_counts: Sequence[int]) -> None:
    """Raises: PortraitError: BAD_TRACK where references leave no frame to score."""
    if max(reference_counts) > len(clip) or not scored_numbers(len(clip), reference_counts):
        raise PortraitError(
            ErrorCode.BAD_TRACK,
            f"The clip {clip.name} has {len(clip)} usable frames, so {max(reference_counts)} references leave none "
            "to score.",
            "Give smaller --references, a larger --frames, or longer clips.",
        )


class Judge:
    """Scores an engine on clips.

    Args:
        faces: looks at faces by dlib; None where that is not installed.
    """

    def __init__(self, engine: Engine, faces: DlibFaces | None) -> None:
        self._engine = engine
        self._faces = faces

    def own_motion(self, clip: Clip, references: int, scored: Sequence[int]) -> Trial:
        """Self-reenactment: the clip's other frames again, from its references and the frames' landmarks."""
        drawn = sorted({neighbour for number in scored for neighbour in (number - 1, number)})
        pictures, fps = self._render(clip, references, clip.points[drawn])
        made = dict(zip(drawn, pictures, strict=True))
        figures = _mean(
            compare(made[i], clip.frames[i], made[i - 1], clip.frames[i - 1], clip.points[i]) for i in scored
        )
        if self._faces is not None:
            figures |= _mean(self._alike(clip, i, made[i], self._faces) for i in _every(scored))
        return Trial(figures | {"fps": fps}, list(scored), [made[i] for i in scored])

    def others_motion(self, clip: Clip, references: int, driver: Clip) -> Trial:
        """Cross-identity reenactment: no real frame is known, so only identity and motion are judged."""
        numbers = _every(range(len(driver)))
        points = transfer(clip.points[0], driver.points)[numbers]
        made, fps = self._render(clip, references, points)
        figures = {}
        if self._faces is not None:
            rest = self._faces.look(clip.frames[0], clip.points[0])
            figures = _mean(
                self._follows(clip, rest, picture, row, self._faces) for picture, row in zip(made, points, strict=True)
            )
        return Trial(figures | {"fps": fps}, numbers, made)

    def _render(self, clip: Clip, references: int, points: np.ndarray) -> tuple[list[np.ndarray], float]:
        """Pictures of the points, and frames a second without preparing."""
        portrait = self._engine.prepare(
            [Reference(clip.frames[i], with_depth(clip.points[i])) for i in reference_numbers(len(clip), references)]
        )
        # Warmed up first: what an engine computes once for a size does not count as its speed.
        self._engine.render(portrait, points[:1], clip.size, False)
        made: list[np.ndarray] = []
        started = time.perf_counter()
        for first in range(0, len(points), self._engine.batch_size):
            batch = points[first : first + self._engine.batch_size]
            made += list(self._engine.render(portrait, batch, clip.size, False)[..., :3])
        return made, len(made) / (time.perf_counter() - started)

    def _alike(self, clip: Clip, number: int, made: np.ndarray, faces: DlibFaces) -> dict[str, float]:
        real = faces.look(clip.frames[number], clip.points[number])
        seen = faces.look(made, clip.points[number])
        return _distances(seen, real, seen.landmarks - real.landmarks, made.shape)

    def _follows(
        self, clip: Clip, rest: DlibFace, made: np.ndarray, points: np.ndarray, faces: DlibFaces
    ) -> dict[str, float]:
        """dlib's points lie elsewhere than the track's, so their movements are compared, not their places."""
        seen = faces.look(made, points)
        asked = points[:68, :2] - clip.points[0, :68, :2]
        return _distances(seen, rest, seen.landmarks - rest.landmarks - asked, made.shape)


def _distances(made: DlibFace, real: DlibFace, gaps: np.ndarray, shape: tuple[int, ...]) -> dict[str, float]:
    return {
        "id": float(np.linalg.norm(made.descriptor - real.descriptor)),
        "lmk": float(np.linalg.norm(gaps, axis=1).mean()) / picture_scale(shape),
    }


def _every(numbers: Sequence[int]) -> list[int]:
    """Each `_DLIB_EVERY`th of the numbers, at least one."""
    return list(numbers[min(_DLIB_EVERY, len(numbers)) - 1 :: _DLIB_EVERY])


def _mean(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    kept = list(rows)
    return {column: float(np.mean([row[column] for row in kept])) for column in kept[0]}
