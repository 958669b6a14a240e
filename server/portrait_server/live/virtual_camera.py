# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual camera: pictures that other programs see as a camera's, by pyvirtualcam and what the system has for it."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import numpy as np
from portrait_shared.errors import PortraitError, first_line

from portrait_server.live.air_output import AI_MODIFIED, USUAL_NAME, OutputState
from portrait_server.live.camera_list import unavailable

NAME: Final = "virtual-camera"
TITLE: Final = "Virtual Camera"
_TRIED_SIZE: Final = (640, 360)
_REMEDIES: Final = {
    "linux": "Install v4l2loopback, and load it: sudo modprobe v4l2loopback exclusive_caps=1 "
    f"card_label='{USUAL_NAME} ({AI_MODIFIED})'",
    "darwin": "Install OBS, start its virtual camera once, stop it, and close OBS.",
    "win32": "Install OBS, whose virtual camera is used; close it in OBS and in other programs that send to it.",
}


class VirtualCamera:
    """An open one. See `AirOutput`."""

    keeps_alpha = False

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        """Raises: PortraitError: LIVE_UNAVAILABLE."""
        self._camera = _open(size, fps)
        self.where = str(self._camera.device)

    def send(self, pixels: np.ndarray) -> None:
        try:
            self._camera.send(pixels)
        except RuntimeError as error:
            raise unavailable(f"The virtual camera is gone: {first_line(error)}.", "Switch it on again.") from error

    def close(self) -> None:
        self._camera.close()


def state() -> OutputState:
    """Whether there is one: it is opened for a moment, as nothing else tells."""
    try:
        camera = VirtualCamera(_TRIED_SIZE, 25)
    except PortraitError as error:
        return OutputState(NAME, TITLE, False, "", error.message, error.remedy)
    camera.close()
    return OutputState(NAME, TITLE, True, camera.where)


def _open(size: tuple[int, int], fps: float) -> Any:
    try:
        package = importlib.import_module("pyvirtualcam")
    except ImportError as error:
        raise unavailable(
            "The package pyvirtualcam is not installed.",
            "Install talking-portraits[live] into the server's environment.",
        ) from error
    try:
        return package.Camera(width=size[0], height=size[1], fps=fps, fmt=package.PixelFormat.RGB)
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise unavailable(
            f"This machine has no virtual camera that can be used: {reason[:200].rstrip('.')}.",
            _REMEDIES.get(sys.platform, _REMEDIES["linux"]),
        ) from error
