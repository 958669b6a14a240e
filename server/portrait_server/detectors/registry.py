# SPDX-License-Identifier: GPL-3.0-or-later
"""The detectors by name. Importing this loads none of them: each brings seconds of imports of its own."""

from __future__ import annotations

from collections.abc import Callable

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.detectors.base import Detector
from portrait_server.detectors.face_alignment_weights import missing_face_alignment_weights


def _mediapipe(device: str) -> Detector:
    from portrait_server.detectors.mediapipe_detector import MediaPipeDetector

    return MediaPipeDetector()  # it computes on the processor, whatever there is


def _face_alignment(device: str) -> Detector:
    from portrait_server.detectors.face_alignment_detector import FaceAlignmentDetector

    return FaceAlignmentDetector(device)


_DETECTORS: dict[str, Callable[[str], Detector]] = {"face-alignment": _face_alignment, "mediapipe": _mediapipe}


def detector_names() -> list[str]:
    return sorted(_DETECTORS)


def default_detector_name() -> str:
    """face-alignment where its weights are, else MediaPipe, whose wheel has its own, or whose own are small."""
    return "mediapipe" if missing_face_alignment_weights() else "face-alignment"


def create_detector(name: str | None = None, device: str = "cpu") -> Detector:
    """A new detector; `None` is the default one.

    Args:
        device: what its networks compute on, as torch calls it.

    Raises:
        PortraitError: UNKNOWN_DETECTOR, or WEIGHTS_MISSING where weights cannot be downloaded.
    """
    name = name or default_detector_name()
    if name not in _DETECTORS:
        raise PortraitError(
            ErrorCode.UNKNOWN_DETECTOR,
            f"There is no detector named {name!r}.",
            f"Choose one of: {', '.join(detector_names())}.",
        )
    return _DETECTORS[name](device)
