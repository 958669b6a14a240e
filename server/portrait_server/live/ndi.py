# SPDX-License-Identifier: GPL-3.0-or-later
"""NDI: pictures sent over the local network, as a source that OBS, mixers and other computers can choose."""

from __future__ import annotations

import ctypes
from fractions import Fraction
from typing import Final
from xml.sax.saxutils import quoteattr

import numpy as np
from portrait_shared import __version__
from portrait_shared.errors import PortraitError

from portrait_server.live import ndi_library
from portrait_server.live.air_output import AI_MODIFIED, USUAL_NAME, OutputState, name_on_air
from portrait_server.live.camera_list import unavailable

NAME: Final = "ndi"
TITLE: Final = "NDI"
_LARGEST_DENOMINATOR: Final = 1001


class NdiSource:
    """An open one. See `AirOutput`.

    Viewers get the name, and metadata once for each connection and with each frame, which say that it is AI-modified.
    """

    keeps_alpha = True

    def __init__(self, size: tuple[int, int], fps: float, name: str) -> None:
        """Raises: PortraitError: LIVE_UNAVAILABLE."""
        self._library, _ = ndi_library.load()
        self.where = name_on_air(name)
        made = ndi_library.SendCreate(self.where.encode(), None, False, False)  # this program keeps the rate itself
        self._sender = self._library.NDIlib_send_create(ctypes.byref(made))
        if not self._sender:
            self._library.NDIlib_destroy()
            raise unavailable("NDI does not open another source.", "Close the program that sends one of the same name.")
        self._told = (
            f"<ndi_product long_name={quoteattr(self.where)} short_name={quoteattr(USUAL_NAME)} "
            f"manufacturer={quoteattr(USUAL_NAME)} version={quoteattr(__version__)} model_name={quoteattr(AI_MODIFIED)}/>"
        ).encode()
        told = ndi_library.MetadataFrame(len(self._told) + 1, ndi_library.TIMECODE_SYNTHESIZE, self._told)
        self._library.NDIlib_send_add_connection_metadata(self._sender, ctypes.byref(told))
        rate = Fraction(fps).limit_denominator(_LARGEST_DENOMINATOR)
        self._metadata = b'<talking_portraits ai_modified="true"/>'
        self._frame = ndi_library.VideoFrame(
            xres=size[0], yres=size[1], frame_rate_n=rate.numerator, frame_rate_d=rate.denominator,
            picture_aspect_ratio=size[0] / size[1], frame_format_type=ndi_library.PROGRESSIVE,
            timecode=ndi_library.TIMECODE_SYNTHESIZE, line_stride_in_bytes=4 * size[0], metadata=self._metadata,
        )  # fmt: skip
        self._pixels = np.full((size[1], size[0], 4), 255, np.uint8)

    def send(self, pixels: np.ndarray) -> None:
        channels = pixels.shape[2]
        self._pixels[..., :channels] = pixels
        if channels == 3:
            self._pixels[..., 3] = 255
        self._frame.four_cc = ndi_library.RGBA if channels == 4 else ndi_library.RGBX
        self._frame.data = self._pixels.ctypes.data
        self._library.NDIlib_send_send_video_v2(self._sender, ctypes.byref(self._frame))  # done with it when it returns

    def close(self) -> None:
        if self._sender:
            self._library.NDIlib_send_destroy(self._sender)
            self._library.NDIlib_destroy()
            self._sender = None


def state() -> OutputState:
    """Whether the library is there and runs; nothing is sent for it."""
    try:
        library, path = ndi_library.load()
    except PortraitError as error:
        return OutputState(NAME, TITLE, False, "", error.message, error.remedy)
    library.NDIlib_destroy()
    return OutputState(NAME, TITLE, True, str(path))
