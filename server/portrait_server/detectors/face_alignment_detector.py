# SPDX-License-Identifier: GPL-3.0-or-later
"""The face-alignment package's 3-D landmarks. Weights are fetched and loaded by the package alone, on first use."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError  # what torch raises for a damaged weight file; nothing is unpickled here

import cv2
import face_alignment
import numpy as np
import torch
from portrait_shared.devices import torch_name
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.face_alignment_weights import (
    face_alignment_weights_folder,
    missing_face_alignment_weights,
)
from portrait_server.detectors.pupils import with_pupils
from portrait_server.detectors.turns import UprightCheck

_SEARCH_MAX_PIXELS = 1024
_DOWNLOAD_TIMEOUT_SECONDS = 30.0
log = logging.getLogger(__name__)


class FaceAlignmentDetector(Detector):
    """S3FD, 3DFAN and its depth network: 68 points with depth; the pupils are estimated from the picture."""

    name = "face-alignment"

    def __init__(self, device: str) -> None:
        """
        Args:
            device: ``cpu``, ``cuda``, ``rocm``, ``xpu`` or ``mps``.

        Raises:
            PortraitError: WEIGHTS_MISSING where they cannot be downloaded or are damaged.
        """
        missing = missing_face_alignment_weights()
        if missing:
            log.info("face-alignment downloads %d files to %s", len(missing), missing[0].parent)
        try:
            with _bounded_connections():
                self._network = face_alignment.FaceAlignment(
                    face_alignment.LandmarksType.THREE_D,
                    device=torch_name(device),
                    compile=False,  # minutes of compilation for one photo
                )
        except torch.OutOfMemoryError:
            raise
        except OSError as error:
            raise _weights_error(f"cannot be downloaded ({error})") from error
        except (RuntimeError, UnpicklingError, EOFError, KeyError) as error:
            raise _weights_error(f"are damaged ({str(error).splitlines()[0]})") from error
        self._check = UprightCheck()

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return self._check.find(image, self._find_upright)

    def _find_upright(self, image: np.ndarray) -> list[DetectedFace]:
        boxes = self._boxes(image)
        if not boxes:
            return []
        faces = self._network.get_landmarks_from_image(image, detected_faces=boxes)
        return sorted(
            (_face(image, points, float(box[4])) for points, box in zip(faces, boxes, strict=True)),
            key=lambda face: -face.area,
        )

    def _boxes(self, image: np.ndarray) -> list[np.ndarray]:
        """Faces as left, top, right, bottom, score; looked for in a small copy, for S3FD's memory grows with it."""
        scale = min(1.0, _SEARCH_MAX_PIXELS / max(image.shape))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()
        found = self._network.face_detector.detect_from_image(small)
        return [np.array([*box[:4] / scale, box[4]]) for box in np.asarray(found).reshape(-1, 5)]

    def close(self) -> None:
        self._check.close()
        del self._network


def _face(image: np.ndarray, points: np.ndarray, score: float) -> DetectedFace:
    # Its depth grows towards the viewer; ours shrinks.
    return DetectedFace(with_pupils(image, points * (1, 1, -1)), None, min(score, 1.0))


@contextmanager
def _bounded_connections() -> Iterator[None]:
    """The package's downloads wait for ever on a network that swallows packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _weights_error(why: str) -> PortraitError:
    names = ", ".join(path.name for path in missing_face_alignment_weights()) or "*.pth*"
    return PortraitError(
        ErrorCode.WEIGHTS_MISSING,
        f"face-alignment's weights {why}.",
        f"Use `--detector mediapipe`, which needs none; or run this once with an internet connection; "
        f"or copy from another machine into {face_alignment_weights_folder()}, over any that are damaged: {names}.",
    )
