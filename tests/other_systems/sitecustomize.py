# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a Python on Linux look to our code like one on Windows or macOS, as far as that can be had without them.

With this folder on PYTHONPATH and TALKING_PORTRAITS_TEST_SYSTEM set to `win32` or `darwin`, the project's code and its tests
find that `sys.platform` in every Python that is started; other packages and the standard library go on as on Linux. What
such a system lacks raises where our code asks for it: functions of `os`, POSIX modules, /proc, Unix sockets on Windows,
quick ways to watch sockets. Of Windows there are besides: locks by `msvcrt`, processes watched by handles, names that no
file may have, and open files that can be neither moved nor deleted. Text whose encoding nobody names is an error: there it
is not UTF-8.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import selectors
import signal
import socket
import sys
import types
import warnings
from pathlib import Path
from typing import Any

SYSTEM = os.environ.get("TALKING_PORTRAITS_TEST_SYSTEM", "")
_OURS = ("portrait_server", "portrait_shared", "blender_addon", "tests", "set_up", "build_addon")
_OF_LINUX = {
    "os": (
        "sched_getaffinity",
        "sched_setaffinity",
        "memfd_create",
        "posix_fallocate",
        "pidfd_open",
        "sendfile",
        "splice",
    ),
    "select": ("epoll",),
    "socket": (),
    "signal": (),
}
_OF_POSIX = {
    "os": (
        "getuid", "geteuid", "getgid", "getegid", "getpgid", "killpg", "setsid", "fork", "mkfifo", "statvfs", "fchmod",
        "chown", "uname", "nice", "sysconf", "openpty", "WNOHANG", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC",
    ),
    "select": ("epoll", "poll"),
    "socket": ("AF_UNIX", "SO_PEERCRED", "SCM_RIGHTS"),
    "signal": ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGSTOP", "SIGCONT", "pthread_sigmask"),
}  # fmt: skip
_MODULES_OF_POSIX = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE)
_OF_LINUX_ALONE = ("/proc/", "/sys/")


def _asked_by_us(depth: int) -> bool:
    """Whether the code that asks is the project's. Args: depth: of frames above the caller's."""
    name = sys._getframe(depth + 1).f_globals.get("__name__", "")
    return name.partition(".")[0] in _OURS


def _seen_by_us(module: types.ModuleType, lacks: tuple[str, ...], has: dict[str, Any]) -> None:
    """What our code alone finds in a module: names that it lacks, and others in the place of those that are there."""

    class Seen(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            if name in lacks and _asked_by_us(1):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r} on {SYSTEM}")
            if name in has and _asked_by_us(1):
                return has[name]
            return types.ModuleType.__getattribute__(self, name)

    module.__class__ = Seen


def _own_modules(msvcrt: types.ModuleType) -> None:
    plain = builtins.__import__

    def import_(name: str, *rest: Any, **more: Any) -> Any:
        if name in _MODULES_OF_POSIX and _asked_by_us(1):
            raise ModuleNotFoundError(f"No module named {name!r} on {SYSTEM}", name=name)
        if name == "msvcrt" and _asked_by_us(1):  # by which the standard library knows Windows
            return msvcrt
        return plain(name, *rest, **more)

    builtins.__import__ = import_


def _refuse_places(windows: bool) -> None:
    """Linux's own files, to our code; on Windows also names that no new file may have."""

    def wrapped(module: str, plain: Any, makes: Any) -> Any:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
            if isinstance(text, str) and text.startswith(_OF_LINUX_ALONE) and _asked_by_us(1):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)
            name = os.path.basename(text) if isinstance(text, str) else ""
            if windows and makes(rest, more) and (_FORBIDDEN.search(name) or _DEVICES.fullmatch(name)):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), text)
            return plain(path, *rest, **more)

        call.__module__, call.__qualname__ = module, plain.__name__  # pickle finds it there
        return call

    def opens_to_write(rest: tuple[Any, ...], more: dict[str, Any]) -> bool:
        return bool(set("wxa") & set(str(rest[0] if rest else more.get("mode", "r"))))

    builtins.open = io.open = wrapped("builtins", io.open, opens_to_write)
    os.open = wrapped("os", os.open, lambda rest, more: bool((rest[0] if rest else more.get("flags", 0)) & os.O_CREAT))
    os.mkdir = wrapped("os", os.mkdir, lambda rest, more: True)


def _keep_open_files() -> None:
    """Windows moves and deletes no file that a process has open; here none that this process has."""
    table = "/proc/self/fd"

    def in_use(path: Any) -> bool:
        text = os.path.realpath(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""
        return text in {os.path.realpath(f"{table}/{number}") for number in os.listdir(table)}

    def guarded(plain: Any, count: int) -> Any:
        def call(*places: Any, **more: Any) -> Any:
            if not more and any(os.path.isfile(place) and in_use(place) for place in places[:count]):
                error = PermissionError(
                    errno.EACCES, "The process cannot access the file because it is being used", places[0]
                )
                error.winerror = 32
                raise error
            return plain(*places, **more)

        return call

    os.replace, os.rename = guarded(os.replace, 2), guarded(os.rename, 2)
    os.unlink = os.remove = guarded(os.unlink, 1)


def _windows_own() -> types.ModuleType:
    """`msvcrt` and the part of kernel32 that is used, over what Linux has for the same."""
    import ctypes
    import fcntl

    def locking(descriptor: int, mode: int, count: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error

    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_UNLCK, msvcrt.LK_LOCK, msvcrt.LK_NBLCK, msvcrt.locking = 0, 1, 2, locking

    def open_process(access: int, inherit: bool, pid: int) -> int:
        try:
            return os.pidfd_open(pid)
        except OSError:
            return 0

    def wait_for(handle: int, milliseconds: int) -> int:
        import select

        return 0 if select.select([handle], [], [], milliseconds / 1000)[0] else 0x102

    kernel = types.SimpleNamespace(OpenProcess=open_process, WaitForSingleObject=wait_for)
    ctypes.windll = types.SimpleNamespace(kernel32=kernel)
    return msvcrt


def _become() -> None:
    import platform
    import select

    windows = SYSTEM == "win32"
    lacks = _OF_POSIX if windows else {}
    has: dict[str, dict[str, Any]] = {"os": {"name": "nt"}} if windows else {}
    for module in (os, select, socket, signal):
        name = module.__name__
        _seen_by_us(module, (*_OF_LINUX[name], *lacks.get(name, ())), has.get(name, {}))
    selectors.DefaultSelector = selectors.SelectSelector if windows else selectors.PollSelector
    _refuse_places(windows)
    if windows:
        _own_modules(_windows_own())
        _keep_open_files()
        os.environ.setdefault("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))
        os.environ.pop("XDG_RUNTIME_DIR", None)
    machine, named = ("AMD64", "Windows") if windows else ("arm64", "Darwin")
    _seen_by_us(platform, (), {"machine": lambda: machine, "system": lambda: named})
    _seen_by_us(sys, (), {"platform": SYSTEM})
    warnings.filterwarnings("error", category=EncodingWarning, module=r"portrait_|blender_addon")


if SYSTEM:
    _become()
