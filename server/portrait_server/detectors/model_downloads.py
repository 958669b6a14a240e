# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks' files that no package brings: downloaded when they are first needed, and known by their SHA-256.

MediaPipe's packages for Python 3.13 hold no networks. Two of these files are, byte for byte, what its package for
Python 3.11 holds; the third, `face_landmarker.task`, is the bundle that MediaPipe publishes in their stead.
"""

from __future__ import annotations

import http.client
import logging
import os
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole

from portrait_server.model_files import file_sha256, sha256_of

MODELS_VARIABLE: Final = "TALKING_PORTRAITS_MODELS"
OFFLINE_VARIABLE: Final = "TALKING_PORTRAITS_OFFLINE"
_TIMEOUT_SECONDS: Final = 30.0
"""For each answer of the network, not for the whole."""
_TRIES: Final = 3
_PAGE: Final = (b"<!doctype", b"<html", b"<?xml")
_one_download_at_a_time = threading.Lock()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadedModel:
    """A file of a network on the internet.

    Attributes:
        name: of the file, in `models_folder`.
        url: where it is published.
        size: bytes. sha256: of its content, hex.
    """

    name: str
    url: str
    size: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies, or will."""
        return models_folder() / self.name

    def fetched(self) -> Path:
        """The file, checked; downloaded where it is not there yet, or where a damaged one lies in the cache.

        Raises:
            PortraitError: WEIGHTS_MISSING where it cannot be downloaded; BAD_WEIGHTS where another content came, or lies
                in the folder that the user named; OUTPUT_NOT_WRITABLE, DISK_FULL.
        """
        with _one_download_at_a_time:
            path = self.path
            try:
                damaged = file_sha256(path) != self.sha256
            except (FileNotFoundError, NotADirectoryError):
                damaged = False
            except OSError as error:
                raise self._bad(f"cannot be read ({error.strerror})") from error
            else:
                if not damaged:
                    return path
            if damaged and os.environ.get(MODELS_VARIABLE):
                raise self._bad("is not the one that this release was made with: it is damaged, or was changed")
            self._make_folder()
            write_whole(path, self._downloaded())
            return path

    def _make_folder(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PortraitError(
                ErrorCode.OUTPUT_NOT_WRITABLE, f"Cannot make the folder {folder}: {error.strerror}.",
                f"Set {MODELS_VARIABLE} to a folder that you may write to.",
            ) from error  # fmt: skip

    def _downloaded(self) -> bytes:
        if os.environ.get(OFFLINE_VARIABLE):
            raise self._missing("and this server may not use the internet")
        log.info("%s, %.1f MB, is downloaded from %s to %s", self.name, self.size / 1e6, self.url, self.path.parent)
        why = ""
        for _ in range(_TRIES):
            try:
                content = self._answer()
            except (OSError, http.client.HTTPException) as error:  # urllib's own errors are OSErrors
                why = _reason(error)
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    break
            else:
                if sha256_of(content) == self.sha256:
                    return content
                if content[:200].lstrip().lower().startswith(_PAGE):
                    raise self._missing("and a web page came in its stead, such as a network's login page")
                if len(content) >= self.size:
                    raise self._bad(f"came with another content from {self.url}, and was not kept")
                why = "the connection broke"
        raise self._missing(f"and cannot be downloaded ({why})")

    def _answer(self) -> bytes:
        with urllib.request.urlopen(self.url, timeout=_TIMEOUT_SECONDS) as answer:
            content = answer.read(self.size + 1)  # no more, whatever comes
        assert isinstance(content, bytes)
        return content

    def _missing(self, why: str) -> PortraitError:
        return PortraitError(
            ErrorCode.WEIGHTS_MISSING, f"The network's file {self.name} is not in {self.path.parent}, {why}.",
            self._remedy("Try again with a connection to the internet (behind a proxy, set HTTPS_PROXY)"),
        )  # fmt: skip

    def _bad(self, how: str) -> PortraitError:
        return PortraitError(
            ErrorCode.BAD_WEIGHTS, f"The network's file {self.name} {how}.", self._remedy(f"Delete {self.path} if it is there")
        )  # fmt: skip

    def _remedy(self, first: str) -> str:
        return (
            f"{first}; or download {self.url} on another machine, and copy it to {self.path.parent}, or to a folder "
            f"that {MODELS_VARIABLE} names. Python 3.11 and 3.12 need no download."
        )


FACE_LANDMARKER: Final = DownloadedModel(
    "face_landmarker.task",
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    3_758_596, "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
)  # fmt: skip
FAR_FACES: Final = DownloadedModel(
    "face_detection_full_range_sparse.tflite",
    "https://storage.googleapis.com/mediapipe-assets/face_detection_full_range_sparse.tflite",
    676_746, "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)  # fmt: skip
SELFIE: Final = DownloadedModel(
    "selfie_segmentation.tflite", "https://storage.googleapis.com/mediapipe-assets/selfie_segmentation.tflite",
    249_505, "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)  # fmt: skip
MODELS: Final = (FACE_LANDMARKER, FAR_FACES, SELFIE)


def models_folder() -> Path:
    """Where the files lie: the folder that the environment names, else one in the user's cache."""
    named = os.environ.get(MODELS_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("talking_portraits", False)) / "models"


def fetched_models() -> tuple[Path, Path, Path]:
    """The bundle with the face mesh, BlazeFace for far faces, and the segmentation of people; see `fetched`."""
    return FACE_LANDMARKER.fetched(), FAR_FACES.fetched(), SELFIE.fetched()


def missing_models() -> list[Path]:
    """Those that would have to be downloaded; they are not read to find out."""
    return [model.path for model in MODELS if not model.path.is_file()]


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(error.reason if isinstance(error, urllib.error.URLError) else error or type(error).__name__)
