# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a bundle: files are downloaded into it, go on where they broke off, and are compared with their hashes."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import lock
from portrait_shared.files.whole_files import write_error, write_whole

from portrait_server.commands.bundle_lock import Artifact, Target, Uv, is_for_any_machine

FORMAT: Final = 1
LIST: Final = "bundle.json"
_BEGUN: Final = ".bundle-begun"
_WHEELS: Final = "wheels"
_PYTHON: Final = "python"
_PARTIAL: Final = ".partial"
_CHUNK: Final = 2**20
_ATTEMPTS: Final = 5
_SILENCE_SECONDS: Final = 60
_INDEXES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")


class Bundle:
    """A folder under construction.

    Attributes:
        work: a folder for files on the way, which goes when the bundle is closed.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self.work = work
        self._folder = folder
        self._files: list[Path] = []
        self._python: Path | None = None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Bundle]:
        """A folder that is new, empty, or an earlier bundle's.

        Raises:
            PortraitError: BAD_CONFIGURATION where it holds something else; BUSY where another run makes it just now;
                DISK_FULL, OUTPUT_NOT_WRITABLE.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()) and not ((folder / LIST).is_file() or (folder / _BEGUN).is_file()):
                raise PortraitError(
                    ErrorCode.BAD_CONFIGURATION, f"{folder} holds other files.", "Choose a new or an empty folder."
                )
            with _claimed(folder):
                (folder / LIST).unlink(missing_ok=True)  # it says that all is there
                (folder / _WHEELS).mkdir(exist_ok=True)
                with tempfile.TemporaryDirectory(prefix="portrait-bundle-") as work:
                    yield cls(folder, Path(work))
            if (folder / LIST).is_file():
                (folder / _BEGUN).unlink(missing_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error

    def add_own(self, wheel: Path) -> None:
        """Puts the server's wheel in."""
        write_whole(self._path(wheel.name), wheel.read_bytes())

    def fetch(self, artifact: Artifact) -> None:
        """Puts a wheel of an index in. Raises as `download`."""
        download(artifact, self._path(artifact.name))

    def build(self, artifact: Artifact, uv: Uv, target: Target) -> None:
        """Puts a package in that has no wheel: it is built here.

        Raises:
            PortraitError: as `download`; NOT_ALLOWED where it cannot be built, or for this machine alone.
        """
        kept = self._folder / _WHEELS / f"{artifact.name}.built"
        named = kept.read_text(encoding="utf-8").split() if kept.is_file() else []
        if len(named) == 2 and (known := self._folder / _WHEELS / named[0]).is_file() and sha256(known) == named[1]:
            self._files.append(known)
            return
        source, made = self.work / artifact.name, self.work / "built" / artifact.name
        download(artifact, source)
        uv.run(["build", "--quiet", "--wheel", "--out-dir", str(made), str(source)])
        (wheel,) = made.glob("*.whl")
        if not is_for_any_machine(wheel.read_bytes()):
            raise PortraitError(
                ErrorCode.NOT_ALLOWED, f"{artifact.name} has no wheel for {target.platform} and Python {target.python}.",
                "Choose another --python, or put a wheel of it into a folder that UV_FIND_LINKS names.",
            )  # fmt: skip
        path = self._path(wheel.name)
        shutil.move(wheel, path)
        kept.write_text(f"{wheel.name} {sha256(path)}", encoding="utf-8")

    def fetch_python(self, artifact: Artifact) -> None:
        """Puts a Python in. Raises as `download`."""
        self._python = self._folder / _PYTHON / artifact.name
        self._python.parent.mkdir(exist_ok=True)
        download(artifact, self._python)
        self._files.append(self._python)

    def complete(self, release: str, target: Target) -> tuple[int, int]:
        """Removes what is left of earlier bundles and writes the list.

        Returns:
            How many files there are, and how many bytes.
        """
        for folder in (self._folder / _WHEELS, self._folder / _PYTHON):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path not in self._files and not path.name.endswith(".built"):
                    path.unlink()
        files = {
            path.relative_to(self._folder).as_posix(): {"sha256": sha256(path), "size": path.stat().st_size}
            for path in sorted(self._files)
        }
        said = {
            "format": FORMAT, "release": release, "platform": target.platform, "python": target.python,
            "backend": target.backend, "files": files,
            "python_archive": self._python.relative_to(self._folder).as_posix() if self._python else None,
        }  # fmt: skip
        write_whole(self._folder / LIST, (json.dumps(said, indent=1) + "\n").encode())
        return len(files), sum(path.stat().st_size for path in self._files)

    def _path(self, name: str) -> Path:
        path = self._folder / _WHEELS / name
        self._files.append(path)
        return path


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """The folder for this run alone: two at once would write into one another's files."""
    descriptor = os.open(folder / _BEGUN, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            if not lock(descriptor):
                raise PortraitError(
                    ErrorCode.BUSY, f"Another `portrait bundle` makes {folder} just now.",
                    "Wait until it is done, or choose another folder.",
                )  # fmt: skip
        yield
    finally:
        os.close(descriptor)


def download(artifact: Artifact, path: Path) -> None:
    """Downloads a file, unless it is there with its hash, and goes on where an earlier attempt has stopped.

    Raises:
        PortraitError: SERVER_UNAVAILABLE; NOT_ALLOWED where its hash is another.
        OSError: the disk refuses it.
    """
    if path.is_file() and artifact.sha256 and sha256(path) == artifact.sha256:
        return
    partial = path.with_name(path.name + _PARTIAL)
    if not artifact.sha256:
        partial.unlink(missing_ok=True)  # nothing tells whether it is a part of this one
    for attempt in range(_ATTEMPTS):
        try:
            _continue(artifact.address, partial)
            break
        except (http.client.HTTPException, urllib.error.URLError, ConnectionError, TimeoutError) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or attempt + 1 == _ATTEMPTS:
                raise PortraitError(
                    ErrorCode.SERVER_UNAVAILABLE, f"{artifact.name} could not be downloaded: {_words(error)}.",
                    "Check the connection, a proxy (HTTPS_PROXY) and the index; then run this again: it goes on.",
                ) from error  # fmt: skip
    if artifact.sha256 and sha256(partial) != artifact.sha256:
        partial.unlink()
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{artifact.name} is not what the index says: its hash is another.",
            "Run this again; where it stays so, a proxy or a login page stands between, or the index is damaged.",
        )  # fmt: skip
    os.replace(partial, path)


def _continue(address: str, partial: Path) -> None:
    """Adds what is missing to the end of a file."""
    there = partial.stat().st_size if partial.is_file() else 0
    headers = {"Range": f"bytes={there}-"} if there else {}
    if login := _login(address):
        headers["Authorization"] = login
    parts = urllib.parse.urlsplit(address)
    plain = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        answer = urllib.request.urlopen(urllib.request.Request(plain, headers=headers), timeout=_SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        if there and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there, or it is another: its hash tells
        raise
    with answer, partial.open("ab" if answer.status == http.client.PARTIAL_CONTENT else "wb") as file:
        length = answer.headers.get("Content-Length")
        received = 0
        while data := answer.read(_CHUNK):
            file.write(data)
            received += len(data)
    if length is not None and received < int(length):
        raise http.client.IncompleteRead(b"", int(length) - received)


def _login(address: str) -> str:
    """The name and password that the address, or the user's index on the same machine, has; "" where there is none."""
    asked = urllib.parse.urlsplit(address)
    words = [address, *(word for name in _INDEXES for word in os.environ.get(name, "").split())]
    for word in words:
        known = urllib.parse.urlsplit(word.partition("=")[2] if "=" in word.partition("://")[0] else word)
        if known.username and (known.hostname, known.port) == (asked.hostname, asked.port):
            name, password = urllib.parse.unquote(known.username), urllib.parse.unquote(known.password or "")
            return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
    return ""


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"its server answers {error.code}"
    return str(getattr(error, "reason", "")) or str(error) or type(error).__name__


def sha256(path: Path) -> str:
    """Of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
