# SPDX-License-Identifier: GPL-3.0-or-later
"""NDI's library, where a user has installed it: found, loaded, and what of its C interface is used.

It belongs to NDI's makers and is never shipped. The structures are those of its public header, Processing.NDI.structs.h.
NDI® is a registered trademark of Vizrt NDI AB.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from portrait_server.live.camera_list import unavailable

V6_VARIABLE: Final = "NDI_RUNTIME_DIR_V6"
V5_VARIABLE: Final = "NDI_RUNTIME_DIR_V5"
REMEDY: Final = "Install NDI Tools, or the NDI runtime, from ndi.video; on Linux put libndi.so.6 into /usr/local/lib."
_NAMES: Final = {
    "win32": ("Processing.NDI.Lib.x64.dll",),
    "darwin": ("libndi.dylib",),
    "linux": ("libndi.so.6", "libndi.so.5", "libndi.so"),
}
_FOLDERS: Final = {
    "win32": ("C:/Program Files/NDI/NDI 6 Runtime/v6", "C:/Program Files/NDI/NDI 5 Runtime/v5"),
    "darwin": ("/usr/local/lib", "/Library/NDI SDK for Apple/lib/macOS"),
    "linux": ("/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"),
}


class SendCreate(ctypes.Structure):
    """NDIlib_send_create_t."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("groups", ctypes.c_char_p), ("clock_video", ctypes.c_bool),
        ("clock_audio", ctypes.c_bool),
    ]  # fmt: skip


class VideoFrame(ctypes.Structure):
    """NDIlib_video_frame_v2_t."""

    _fields_ = [
        ("xres", ctypes.c_int), ("yres", ctypes.c_int), ("four_cc", ctypes.c_uint32), ("frame_rate_n", ctypes.c_int),
        ("frame_rate_d", ctypes.c_int), ("picture_aspect_ratio", ctypes.c_float), ("frame_format_type", ctypes.c_int),
        ("timecode", ctypes.c_int64), ("data", ctypes.c_void_p), ("line_stride_in_bytes", ctypes.c_int),
        ("metadata", ctypes.c_char_p), ("timestamp", ctypes.c_int64),
    ]  # fmt: skip


class MetadataFrame(ctypes.Structure):
    """NDIlib_metadata_frame_t."""

    _fields_ = [("length", ctypes.c_int), ("timecode", ctypes.c_int64), ("data", ctypes.c_char_p)]


PROGRESSIVE: Final = 1
TIMECODE_SYNTHESIZE: Final = 2**63 - 1
RGBA: Final = int.from_bytes(b"RGBA", "little")
RGBX: Final = int.from_bytes(b"RGBX", "little")


def candidates(system: str = sys.platform) -> Iterator[Path]:
    """Where the library may lie: the folders that its installers name first. Never a name alone, which the system would
    look for in folders that anybody may have put into a variable."""
    system = system if system in _NAMES else "linux"
    told = (os.environ.get(V6_VARIABLE, ""), os.environ.get(V5_VARIABLE, ""))
    for folder in (*filter(None, told), *_FOLDERS[system]):
        for name in _NAMES[system]:
            yield Path(folder) / name


def load() -> tuple[ctypes.CDLL, Path]:
    """The library, initialised, and where it lies.

    Raises:
        PortraitError: LIVE_UNAVAILABLE where there is none, or none that can be used here.
    """
    refused = ""
    for path in candidates():
        if not path.is_file():
            continue
        try:
            library = ctypes.CDLL(str(path))
            _declare(library)
        except (OSError, AttributeError) as error:  # of another processor, damaged, or without these functions
            refused = refused or f"{path}: {error}"
            continue
        if not library.NDIlib_initialize():
            raise unavailable("NDI does not run on this processor.", "It needs one with SSE4.2, or of ARM.")
        return library, path
    if refused:
        raise unavailable(f"NDI's library cannot be loaded: {refused}.", REMEDY)
    raise unavailable("NDI's library is not installed.", REMEDY)


def _declare(library: ctypes.CDLL) -> None:
    library.NDIlib_initialize.restype = ctypes.c_bool
    library.NDIlib_initialize.argtypes = []
    library.NDIlib_destroy.restype = None
    library.NDIlib_destroy.argtypes = []
    library.NDIlib_send_create.restype = ctypes.c_void_p
    library.NDIlib_send_create.argtypes = [ctypes.POINTER(SendCreate)]
    library.NDIlib_send_destroy.restype = None
    library.NDIlib_send_destroy.argtypes = [ctypes.c_void_p]
    library.NDIlib_send_send_video_v2.restype = None
    library.NDIlib_send_send_video_v2.argtypes = [ctypes.c_void_p, ctypes.POINTER(VideoFrame)]
    library.NDIlib_send_add_connection_metadata.restype = None
    library.NDIlib_send_add_connection_metadata.argtypes = [ctypes.c_void_p, ctypes.POINTER(MetadataFrame)]
