# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared libraries that bpy and OpenCV load and a bare Linux lacks. Standard library only: set-up reads it too."""

from __future__ import annotations

import ctypes
import sys

# What `ldd` says of opencv-python 4.11 and of bpy 4.2-5.2, less what they bring themselves.
DEBIAN_PACKAGE_OF = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
}
DEBIAN_PACKAGE_OF_BPY = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
}


def missing_libraries(bpy: bool) -> dict[str, str]:
    """Libraries that cannot be loaded here, each with the Debian package that holds it; none outside Linux.

    Args:
        bpy: whether those count that bpy alone loads.
    """
    if not sys.platform.startswith("linux"):
        return {}
    missing = {}
    for library, package in (DEBIAN_PACKAGE_OF | (DEBIAN_PACKAGE_OF_BPY if bpy else {})).items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing[library] = package
    return missing
