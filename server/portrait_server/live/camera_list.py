# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cameras this machine has, by number and name, and what is in the way of each. None of them is opened for it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError

SYSFS: Final = Path("/sys/class/video4linux")
_PROFILER: Final = ("system_profiler", "SPCameraDataType", "-json")
_PROFILER_SECONDS: Final = 20.0
_MOST_CAMERAS: Final = 64
_NAME_CHARACTERS: Final = 100
PERMISSIONS: Final = {
    "linux": "Add yourself to the group “video”, and log in again.",
    "darwin": "Permit it in System Settings > Privacy & Security > Camera, for Blender or the terminal.",
    "win32": "Permit it in Settings > Privacy & security > Camera, also for desktop apps.",
}
"""How each system lets a program use a camera."""


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        number: what OpenCV calls it; on Linux N of /dev/videoN.
        name: as the system calls it.
        problem: what is in the way of it, a sentence; empty where nothing is known of.
        remedy: what to do about that.
    """

    number: int
    name: str
    problem: str = ""
    remedy: str = ""


def cameras(system: str = sys.platform) -> list[Camera]:
    """This machine's, by their numbers.

    Raises:
        PortraitError: LIVE_UNAVAILABLE where the system does not tell which there are.
    """
    if system == "darwin":
        return _of_macos()
    if system == "win32":
        return _of_windows()
    return of_linux()


def chosen(asked: str, there: Sequence[Camera]) -> Camera:
    """The camera that a user means: a number, or a part of a name in whatever case; the first where nothing is asked for.

    Raises:
        PortraitError: LIVE_UNAVAILABLE, which says which there are.
    """
    names = "; ".join(f"{camera.number}: {camera.name}" for camera in there)
    remedy = f"Choose one of: {names}." if there else "Plug one in, and look whether another program sees it."
    if not asked:
        if there:
            return there[0]
        raise unavailable("This machine has no camera.", remedy)
    if asked.isdecimal():
        number = int(asked[:9])
        return next((camera for camera in there if camera.number == number), Camera(number, f"Camera {number}"))
    wanted = asked.casefold()
    exact = [camera for camera in there if camera.name.casefold() == wanted]
    alike = exact or [camera for camera in there if wanted in camera.name.casefold()]
    if not alike:
        raise unavailable(f"There is no camera “{asked}”.", remedy)
    if len(alike) > 1 and not exact:
        raise unavailable(f"Several cameras are called “{asked}”.", remedy)
    return alike[0]


def unavailable(message: str, remedy: str) -> PortraitError:
    return PortraitError(ErrorCode.LIVE_UNAVAILABLE, message, remedy)


def of_linux(sysfs: Path = SYSFS, devices: Path = Path("/dev")) -> list[Camera]:
    """What the kernel lists. Of a device's several nodes the first, as the others give no pictures."""
    found = []
    for folder in list(sysfs.glob("video*"))[:_MOST_CAMERAS]:
        number = folder.name.removeprefix("video")
        if number.isdecimal() and _first_line(folder / "index") in ("", "0"):
            name = _first_line(folder / "name") or f"Camera {number}"
            found.append(Camera(int(number), name, *_obstacle(devices / folder.name)))
    return sorted(found, key=lambda camera: camera.number)


def users_of(device: Path, processes: Path = Path("/proc")) -> list[str]:
    """The programs that hold a device open, as “obs (process 12)”: those of one's own alone, and not this one."""
    found = []
    for process in processes.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            links = {os.readlink(entry) for entry in os.scandir(process / "fd")}
        except OSError:  # it has ended, or is another user's
            continue
        if str(device) in links:
            found.append(f"{_first_line(process / 'comm') or 'a program'} (process {process.name})")
    return found


def _obstacle(device: Path) -> tuple[str, str]:
    if not device.exists():
        return f"{device} is not there.", "Plug the camera in again."
    if not os.access(device, os.R_OK | os.W_OK):
        return f"You may not use {device}.", PERMISSIONS["linux"]
    if users := users_of(device):
        return f"It is open in {', '.join(users)}.", "If it gives no pictures, close that program."
    return "", ""


def _of_macos() -> list[Camera]:
    """From the system's own report, in the order of their ids, by which OpenCV numbers them."""
    try:
        said = subprocess.run(
            _PROFILER, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROFILER_SECONDS, check=True
        )
        return of_profiler(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise unavailable(
            "macOS does not tell which cameras there are.", "Give the camera's number, such as 0."
        ) from error


def of_profiler(report: bytes) -> list[Camera]:
    """The cameras in what `system_profiler` prints as JSON.

    Raises:
        ValueError: it is another report.
    """
    entries = json.loads(report).get("SPCameraDataType", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("another report")
    entries.sort(key=lambda entry: str(entry.get("spcamera_unique-id", "")))
    return [_named(number, entry.get("_name")) for number, entry in enumerate(entries[:_MOST_CAMERAS])]


def _of_windows() -> list[Camera]:
    try:
        module = importlib.import_module("cv2_enumerate_cameras")
        import cv2

        return [_named(info.index, info.name) for info in module.enumerate_cameras(cv2.CAP_MSMF)][:_MOST_CAMERAS]
    except ImportError as error:
        raise unavailable(
            "Which cameras there are cannot be told without the package cv2-enumerate-cameras.",
            "Install talking-portraits[live], or give the camera's number, such as 0.",
        ) from error


def _named(number: int, name: Any) -> Camera:
    return Camera(number, name[:_NAME_CHARACTERS] if isinstance(name, str) and name else f"Camera {number}")


def _first_line(file: Path) -> str:
    """Of one of the kernel's small files; empty where it is not there."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.readline(_NAME_CHARACTERS).strip()
    except OSError:
        return ""
