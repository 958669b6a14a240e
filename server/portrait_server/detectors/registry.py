# SPDX-License-Identifier: GPL-3.0-or-later
"""The detectors by name. Importing this loads none of them: each brings seconds of imports of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.detectors.base import Detector


def _mediapipe() -> Detector:
    from portrait_server.detectors.mediapipe_detector import MediaPipeDetector

    return MediaPipeDetector()


def _face_alignment() -> Detector:
    from portrait_server.detectors.face_alignment_detector import FaceAlignmentDetector

    return FaceAlignmentDetector()


_DETECTORS: dict[str, Callable[[], Detector]] = {"face-alignment": _face_alignment, "mediapipe": _mediapipe}

# What face-alignment 1.4 and 1.5 keep in torch's hub folder for landmarks with depth.
FACE_ALIGNMENT_WEIGHTS = (
    "s3fd-619a316812.pth",
    "3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar",
)


def face_alignment_weights_folder() -> Path:
    """Where torch's hub, and so face-alignment, keeps weights; the same rules as `torch.hub.get_dir`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser() / "hub" / "checkpoints"


def missing_face_alignment_weights() -> list[Path]:
    """The weight files that face-alignment would have to download; nothing is loaded to find out."""
    folder = face_alignment_weights_folder()
    return [folder / name for name in FACE_ALIGNMENT_WEIGHTS if not (folder / name).is_file()]


def detector_names() -> list[str]:
    return sorted(_DETECTORS)


def default_detector_name() -> str:
    """face-alignment where its weights are, MediaPipe, which has its own inside the wheel, elsewhere."""
    return "mediapipe" if missing_face_alignment_weights() else "face-alignment"


def create_detector(name: str | None = None) -> Detector:
    """A new detector; `None` is the default one.

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
    return _DETECTORS[name]()
