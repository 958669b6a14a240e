# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a camera as they come: of a real one by OpenCV, or of a film that is played as if it were one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import cv2
import numpy as np
from portrait_shared.errors import PortraitError

from portrait_server.live.camera_list import PERMISSIONS, Camera, unavailable, users_of
from portrait_server.live.newest import Newest
from portrait_server.media.video import VideoReader

_BACKENDS: Final = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_MSMF}


class CameraPicture(NamedTuple):
    """One picture.

    Attributes:
        seconds: when it was taken (time.monotonic).
        image: (H, W, 3) uint8 RGB.
    """

    seconds: float
    image: np.ndarray


class PictureSource(Protocol):
    """Where pictures come from, at their own rate.

    Attributes:
        name: what the user calls it.
        size: (width, height), pixels.
        fps: pictures a second that it promises; 0 where it does not tell.
    """

    name: str
    size: tuple[int, int]
    fps: float

    def pictures(self, ended: Callable[[], bool]) -> Iterator[CameraPicture]:
        """One after another, each when it is taken, until it is to end or there are no more.

        Raises:
            PortraitError: LIVE_UNAVAILABLE where a camera gives none any more.
        """

    def close(self) -> None:
        """Gives the camera back. By the thread that reads the pictures, or after it has ended."""


class OpenedCamera:
    """A real camera."""

    def __init__(self, camera: Camera, capture: cv2.VideoCapture, device: Path | None = None) -> None:
        """Args: device: the file that is gone where it was unplugged; None where a system has none."""
        self.name = camera.name
        self.size = (round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self.fps = max(0.0, capture.get(cv2.CAP_PROP_FPS))
        self._capture, self._device = capture, device

    def pictures(self, ended: Callable[[], bool]) -> Iterator[CameraPicture]:
        while not ended():
            if not self._capture.grab():
                raise self._lost()
            seconds = time.monotonic()
            read, image = self._capture.retrieve()
            if read and image is not None and image.ndim == 3:
                yield CameraPicture(seconds, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        self._capture.release()

    def _lost(self) -> PortraitError:
        if self._device is not None and not self._device.exists():
            return unavailable(f"The camera “{self.name}” was unplugged.", "Plug it in again, and start again.")
        return unavailable(
            f"The camera “{self.name}” gives no more pictures.", "Look whether it is still plugged in, and start again."
        )


class PlayedFilm:
    """A video file, each frame at its time after the first was asked for."""

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Raises: PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE."""
        self._film = VideoReader(path)
        self._images = iter(self._film)
        self._first = next(self._images)
        self.name, self.fps = path.name, self._film.fps
        self.size = (self._first.shape[1], self._first.shape[0])
        self._clock, self._sleep = clock, sleep

    def pictures(self, ended: Callable[[], bool]) -> Iterator[CameraPicture]:
        began, number, image = self._clock(), 0, self._first
        while not ended():
            due = began + number / self.fps
            if (early := due - self._clock()) > 0:
                self._sleep(early)
            yield CameraPicture(due, image)
            following = next(self._images, None)
            if following is None:
                return
            number, image = number + 1, following

    def close(self) -> None:
        self._film.close()


def open_camera(
    camera: Camera, size: tuple[int, int] | None, fps: float | None, system: str = sys.platform
) -> OpenedCamera:
    """Opens a camera.

    Args:
        size: (width, height) that it is asked for, and fps; it may give others.

    Raises:
        PortraitError: LIVE_UNAVAILABLE: it is not there, forbidden, or in use.
    """
    device = Path(f"/dev/video{camera.number}") if system.startswith("linux") else None
    if device is not None and not device.exists():
        raise unavailable(
            f"There is no camera {camera.number}.", "See `portrait camera --list` for those that there are."
        )
    capture = cv2.VideoCapture(camera.number, _BACKENDS.get(system, cv2.CAP_ANY))
    if not capture.isOpened():
        capture.release()
        raise _refused(camera, device, system)
    if size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # where a backend has it: an old picture is of no use
    return OpenedCamera(camera, capture, device)


def _refused(camera: Camera, device: Path | None, system: str) -> PortraitError:
    if camera.problem.startswith("You may not"):
        return unavailable(camera.problem, camera.remedy)
    users = users_of(device) if device is not None else []
    if users:
        return unavailable(
            f"The camera “{camera.name}” is in use by {', '.join(users)}.", "Close that program, and start again."
        )
    return unavailable(
        f"The camera “{camera.name}” cannot be opened.",
        f"Close other programs that use it. {PERMISSIONS.get(system, PERMISSIONS['linux'])}",
    )


def keep_newest(source: PictureSource, newest: Newest[CameraPicture]) -> None:
    """A thread's body: reads all pictures, of which the newest can be taken, until `newest` is closed or there are no more.

    Closes the source, and `newest` with what ended it.
    """
    try:
        for picture in source.pictures(lambda: newest.closed):
            newest.put(picture)
        newest.close()
    except (PortraitError, OSError, cv2.error) as error:
        newest.close(error if isinstance(error, PortraitError | OSError) else unavailable(
            f"The camera “{source.name}” fails.", f"Start again. OpenCV says: {error}"))  # fmt: skip
    finally:
        source.close()
