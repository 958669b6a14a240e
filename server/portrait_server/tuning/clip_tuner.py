# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning, where an engine knows it: by a given file, or of each clip by its own references."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile

from portrait_server.detectors.base import Detector
from portrait_server.engines.base import Engine
from portrait_server.engines.loaded_engines import Tunable, tunable
from portrait_server.evaluation.clips import Clip
from portrait_server.evaluation.reenactment import reference_numbers

if TYPE_CHECKING:
    from portrait_server.corpora.shards import Face


def tuned_by(engine: Engine, file: Path) -> Engine:
    """The engine tuned by a file of `portrait adapt`.

    Raises:
        PortraitError: UNKNOWN_ENGINE for an engine that cannot be tuned; FILE_MISSING; BAD_WEIGHTS.
    """
    return tunable(engine).tuned(PersonalFile.load(file))


class ClipTuner:
    """Tunes an engine to clips, by nothing but the frames that are its references.

    Attributes:
        tunings: how each went, for the report: to which ``clip``, by how many ``references``, in how many of which,
            ``photographs``, the face was found, how many ``seconds`` it took, and the fields of `TunedPerson`.
    """

    def __init__(self, engine: Engine, detector: Detector) -> None:
        """Raises: PortraitError: UNKNOWN_ENGINE for an engine that cannot be tuned."""
        self.tunings: list[dict[str, Any]] = []
        self._engine: Tunable = tunable(engine)
        self._detector = detector

    def tuned(self, clip: Clip, references: int) -> Engine:
        """The engine tuned to a clip by so many of its frames.

        Raises:
            PortraitError: NO_FACE where the detector finds one in none of the frames.
        """
        from portrait_server.tuning.search import tune_painters

        started = time.perf_counter()
        faces = [face for number in reference_numbers(len(clip), references) for face in self._found(clip, number)]
        if not faces:
            raise PortraitError(
                ErrorCode.NO_FACE, f"No reference frame of {clip.name} can be tuned to: no face was found in them.",
                "Use larger frames, or leave out --tuned.",
            )  # fmt: skip
        tuned = tune_painters(self._engine.painters, self._engine.checksum, faces)
        self.tunings.append(
            {
                "clip": clip.name,
                "references": references,
                "photographs": len(faces),
                "seconds": time.perf_counter() - started,
                "kept": tuned.kept,
                "step": tuned.step,
                "before": tuned.before,
                "after": tuned.after,
            }
        )
        return self._engine.tuned(tuned.personal)

    def _found(self, clip: Clip, number: int) -> list[Face]:
        """The frame's face, where the detector finds one."""
        from portrait_server.tuning.photographs import faces_of

        try:
            return faces_of([(f"frame {number + 1} of {clip.name}", clip.frames[number])], self._detector)
        except PortraitError as error:
            if error.code != ErrorCode.NO_FACE:
                raise
            return []
