# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server needs on another machine, as uv finds it out: exact files, with their addresses and hashes."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.log_lines import without_secrets

PLATFORMS: Final = {
    "linux-x64": "x86_64-manylinux_2_28",
    "windows-x64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
    "macos-x64": "x86_64-apple-darwin",
}
"""Blender's names, and uv's."""
UV_VARIABLE: Final = "TALKING_PORTRAITS_UV"
WHEEL_VARIABLE: Final = "TALKING_PORTRAITS_SERVER_WHEEL"
_TORCH: Final = {"cpu": "cpu", "cuda": "cu128", "rocm": "rocm6.4", "xpu": "xpu", "mps": ""}
_OF_SYSTEMS: Final = {"rocm": ("linux-x64",), "mps": ("macos-arm64",), "cuda": ("linux-x64", "windows-x64"),
                      "xpu": ("linux-x64", "windows-x64")}  # fmt: skip
_EXTRAS: Final = "speech,live"
_WHEEL: Final = re.compile(r"talking_portraits-([^-]+)-py3-none-any\.whl")
_LIMIT_SECONDS: Final = 1800
_LAST_LINES: Final = 6
_CONNECTION: Final = re.compile(r"dns error|error sending request|connect|timed out|failed to fetch", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """The other machine.

    Attributes:
        platform: one of `PLATFORMS`.
        python: such as "3.11".
        backend: what draws there.
        torch: PyTorch's build, such as "cu128"; "" for the backend's usual one.
    """

    platform: str
    python: str
    backend: str
    torch: str = ""

    def check(self) -> None:
        """Raises: PortraitError: BAD_CONFIGURATION where there is no such PyTorch."""
        if self.platform not in _OF_SYSTEMS.get(self.backend, PLATFORMS):
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"There is no PyTorch for {self.backend} on {self.platform}.",
                "Choose another --backend or --platform.",
            )  # fmt: skip


@dataclass(frozen=True)
class Artifact:
    """A file that an index has.

    Attributes:
        sha256: "" where the index tells none.
    """

    name: str
    address: str
    sha256: str

    @property
    def is_wheel(self) -> bool:
        return self.name.endswith(".whl")


@dataclass(frozen=True)
class Locked:
    """What is needed: the server's release, files, and "" or what the user should know of how they were chosen."""

    release: str
    artifacts: tuple[Artifact, ...]
    note: str


class Uv:
    """The program uv, which obeys the user's own settings of it (UV_INDEX_URL, UV_FIND_LINKS and the like)."""

    def __init__(self, program: Path) -> None:
        self._program = program

    @classmethod
    def found(cls) -> Uv:
        """The one that a variable names, beside this Python, of the extension's installation, or on the PATH.

        Raises:
            PortraitError: FILE_MISSING.
        """
        name = "uv.exe" if os.name == "nt" else "uv"
        named = os.environ.get(UV_VARIABLE, "")
        places = [Path(named)] if named else [Path(sys.executable).with_name(name), Path(sys.prefix).parent / name]
        on_path = None if named else shutil.which("uv")
        for place in [*places, *([Path(on_path)] if on_path else [])]:
            if place.is_file():
                return cls(place)
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"The program uv is not there{f': {named}' if named else ''}.",
            f"Install it with `python -m pip install uv`, or name it in {UV_VARIABLE}.",
        )  # fmt: skip

    def run(self, words: Sequence[str]) -> str:
        """What it printed.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where an index cannot be reached, else NOT_ALLOWED with its last lines.
        """
        try:
            done = subprocess.run(
                [str(self._program), *words], capture_output=True, encoding="utf-8", errors="replace",
                timeout=_LIMIT_SECONDS, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"The program {self._program} cannot be started: {error.strerror or error}.",
                f"Install uv with `python -m pip install uv`, or name it in {UV_VARIABLE}.",
            ) from error  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE, f"uv did not end within {_LIMIT_SECONDS // 60} minutes.",
                "Check the connection; then run this again.",
            ) from error  # fmt: skip
        if done.returncode:
            lines = without_secrets(done.stderr).strip().splitlines()
            said = " ".join(" ".join(line.split()) for line in lines[-_LAST_LINES:])
            if _CONNECTION.search(said):
                raise PortraitError(
                    ErrorCode.SERVER_UNAVAILABLE, f"The package index cannot be reached: {said}",
                    "Check the connection, a proxy (HTTPS_PROXY) and the index (UV_INDEX_URL); then run this again.",
                )  # fmt: skip
            raise PortraitError(
                ErrorCode.NOT_ALLOWED, f"uv has failed: {said}", "Mend what it names; then run this again."
            )
        return done.stdout

    def python_archive(self, target: Target) -> Artifact:
        """Python as uv would download it on the other machine.

        Raises:
            PortraitError: FILE_MISSING where there is none.
        """
        system, machine = target.platform.split("-")
        listed = self.run(["python", "list", target.python, "--all-platforms", "--only-downloads", "--show-urls",
                           "--output-format", "json"])  # fmt: skip
        for each in json.loads(listed):
            if (
                each["implementation"] == "cpython" and each["variant"] == "default"
                and each["os"] == system and each["libc"] in ("gnu", "none")
                and each["arch"] == {"x64": "x86_64", "arm64": "aarch64"}[machine]
            ):  # fmt: skip
                return Artifact(urllib.parse.unquote(each["url"].rpartition("/")[2]), each["url"], "")
        raise PortraitError(
            ErrorCode.FILE_MISSING,
            f"There is no Python {target.python} for {target.platform}.",
            "Choose another --python.",
        )


@contextmanager
def find_wheel(asked: Path | None) -> Iterator[Path]:
    """The server's wheel: the one asked for, the one in a zip of the extension, the one that a variable names, or the one
    that this server was installed from.

    Raises:
        PortraitError: FILE_MISSING.
    """
    place = asked or (Path(named) if (named := os.environ.get(WHEEL_VARIABLE)) else _installed_from())
    if place is not None and _WHEEL.fullmatch(place.name) and place.is_file():
        yield place.resolve()
        return
    if place is not None and zipfile.is_zipfile(place):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(place) as archive:
            for name in archive.namelist():
                if name.startswith("bin/") and _WHEEL.fullmatch(name.removeprefix("bin/")):
                    wheel = Path(folder) / name.removeprefix("bin/")
                    wheel.write_bytes(_unpacked(archive, name))
                    yield wheel
                    return
    raise PortraitError(
        ErrorCode.FILE_MISSING,
        f"{place} holds no wheel of the server."
        if place
        else "The server's wheel, which goes into the folder, is not there.",
        "Name a zip of the extension, or the wheel in its folder bin, by --wheel.",
    )


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"{archive.filename} is damaged.", "Download it anew, and name that by --wheel."
        ) from error


def _installed_from() -> Path | None:
    try:
        told = importlib.metadata.distribution("talking-portraits").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    address = urllib.parse.urlsplit(json.loads(told)["url"]) if told else None
    if address is None or address.scheme != "file":
        return None
    path = Path(urllib.request.url2pathname(address.path))
    return path if path.is_file() else None


def lock(uv: Uv, wheel: Path, target: Target, work: Path) -> Locked:
    """Finds out what the server needs on the other machine.

    Args:
        work: a folder for files on the way.

    Raises:
        PortraitError: SERVER_UNAVAILABLE, NOT_ALLOWED.
    """
    wanted, made = work / "requirements.in", work / "pylock.toml"
    wanted.write_text(f"talking-portraits[{_EXTRAS}] @ {wheel.as_uri()}\n", encoding="utf-8")
    words = ["pip", "compile", "--quiet", "--format", "pylock.toml", "--python-version", target.python,
             "--python-platform", PLATFORMS[target.platform], "--output-file", str(made), str(wanted)]  # fmt: skip
    build = target.torch or _TORCH[target.backend]
    note = ""
    try:
        uv.run([*words, *(["--torch-backend", build] if build else [])])
    except PortraitError as error:
        if not build or "download.pytorch.org" not in error.message:
            raise
        note = f"PyTorch's own index does not answer: its build is whatever the index at hand has, not surely {build}."
        uv.run(words)
    try:
        packages = tomllib.loads(made.read_text(encoding="utf-8"))["packages"]
        chosen = [_chosen(each, target.python) for each in packages if each["name"] != "talking-portraits"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, "uv wrote no list of packages that can be read.",
            f"Update uv, or name another in {UV_VARIABLE}; then run this again.",
        ) from error  # fmt: skip
    release = _WHEEL.fullmatch(wheel.name)
    assert release is not None, wheel
    return Locked(release[1], tuple(chosen), note)


def _chosen(package: dict[str, Any], python: str) -> Artifact:
    """Of the files that fit, all of which uv lists, the one that is made most exactly for the Python and the system; the
    source where there is no other."""
    own = f"-cp{python.replace('.', '')}-"
    wheels = sorted(
        (_artifact(each) for each in package.get("wheels", ())),
        key=lambda each: (own not in each.name, each.name.endswith("-any.whl"), each.name),
    )
    if wheels:
        return wheels[0]
    if "sdist" in package:
        return _artifact(package["sdist"])
    raise PortraitError(
        ErrorCode.NOT_ALLOWED, f"The package {package['name']} {package.get('version', '')} is in no index.",
        "Choose another --python or --platform.",
    )  # fmt: skip


def _artifact(entry: dict[str, Any]) -> Artifact:
    address = entry.get("url") or Path(entry["path"]).resolve().as_uri()
    name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
    return Artifact(name, address, entry.get("hashes", {}).get("sha256", ""))


def is_for_any_machine(wheel: bytes) -> bool:
    """Whether a wheel that was built here serves everywhere: by what it says of itself."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        (about,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", name)]
        tags = re.findall(r"^Tag: (\S+)", archive.read(about).decode(), re.MULTILINE)
    return any(tag.startswith("py3-none-any") for tag in tags)
