# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index on loopback, and small wheels for it: what installers meet in offices and trains, made at will."""

from __future__ import annotations

import base64
import hashlib
import http.server
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def make_wheel(
    folder: Path, name: str, version: str, files: dict[str, str | bytes], needs: Sequence[str] = (),
    extras: dict[str, Sequence[str]] | None = None, scripts: dict[str, str] | None = None, python: str = ">=3.11",
) -> Path:  # fmt: skip
    """A wheel for any machine.

    Args:
        files: what it installs, by its path there.
        needs: what it depends on.
        extras: what each of its extras depends on.
        scripts: commands, each as "module:function".
    """
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    said = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
    said += [f"Requires-Dist: {need}" for need in needs]
    for extra, wanted in (extras or {}).items():
        said += [f"Provides-Extra: {extra}", *(f"Requires-Dist: {need} ; extra == '{extra}'" for need in wanted)]
    inside: dict[str, bytes] = {key: text if isinstance(text, bytes) else text.encode() for key, text in files.items()}
    inside[f"{info}/METADATA"] = "\n".join([*said, "", ""]).encode()
    inside[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if scripts:
        lines = "".join(f"{command} = {function}\n" for command, function in scripts.items())
        inside[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    record = "".join(f"{key},sha256={_hash64(data)},{len(data)}\n" for key, data in inside.items())
    inside[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in inside.items():
            archive.writestr(key, data)
    return path


def _hash64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class Index:
    """What the index serves, and how it behaves; all may be changed while it runs.

    Attributes:
        wheels: by their file names.
        wrong_hashes: names of files whose hash on their page is another's.
        login: every page is that of a hotel's or an office's login.
        login_type: what that page says of its kind; nothing where it is empty.
        status: every answer is this one, where it is no 0.
        password: asked for, where there is one: user "anna".
        breaks: so many times yet, a file's connection ends in its middle; of one that is held, when it is let go.
        held: files stop in their middle, until `let_go`.
        asked: paths that were asked for.
        begun: set as soon as a file is held.
    """

    def __init__(self) -> None:
        self.wheels: dict[str, Path] = {}
        self.metadata: dict[str, bytes] = {}
        self.wrong_hashes: set[str] = set()
        self.login = False
        self.login_type = "text/html"
        self.status = 0
        self.password = ""
        self.breaks: dict[str, int] = {}
        self.held: set[str] = set()
        self.asked: list[str] = []
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    @property
    def files_asked(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.asked if path.endswith(".whl")]

    def add(self, *wheels: Path) -> None:
        for wheel in wheels:
            self.wheels[wheel.name] = wheel
            with zipfile.ZipFile(wheel) as archive:
                inner = next(inner for inner in archive.namelist() if inner.endswith(".dist-info/METADATA"))
                self.metadata[wheel.name] = archive.read(inner)

    def page(self, package: str) -> bytes | None:
        names = [name for name in self.wheels if name.split("-")[0].replace("_", "-") == package]
        if not names:
            return None
        links = []
        for name in names:
            data = b"another" if name in self.wrong_hashes else self.wheels[name].read_bytes()
            address = f"/files/{name}#sha256={hashlib.sha256(data).hexdigest()}"
            links.append(f'<a href="{address}" data-core-metadata="true">{name}</a><br>')
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()


_LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action='/login'>Room number</form></body></html>"


def _handler(index: Index) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            # A proxy is asked for whole addresses.
            path = self.path.split("://")[-1]
            path = path if path.startswith("/") else "/" + path.partition("/")[2]
            index.asked.append(path)
            expected = "Basic " + base64.b64encode(f"anna:{index.password}".encode()).decode()
            if index.status:
                self._answer(index.status, b"no")
            elif index.password and self.headers.get("Authorization") != expected:
                self._answer(401, b"who are you?")
            elif index.login:
                self._answer(200, _LOGIN, kind=index.login_type)
            elif path.startswith("/files/") and path.endswith(".metadata"):
                self._answer(200, index.metadata[path.rpartition("/")[2].removesuffix(".metadata")], forever=True)
            elif path.startswith("/files/"):
                self._file(path.rpartition("/")[2])
            else:
                page = index.page(path.removeprefix("/simple/").strip("/"))
                self._answer(404, b"none") if page is None else self._answer(200, page)

        def _answer(self, status: int, body: bytes, forever: bool = False, kind: str = "text/html") -> None:
            self.send_response(status)
            if forever:
                self.send_header("Cache-Control", "max-age=365000000, immutable, public")
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic realm=index")
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _file(self, name: str) -> None:
            wheel = index.wheels.get(name)
            if wheel is None:
                self._answer(404, b"none")
                return
            data = wheel.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")  # and nothing on how long it stays so
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "HEAD":
                return
            half = len(data) // 2
            if name in index.held or index.breaks.get(name, 0):
                self.wfile.write(data[:half])
                self.wfile.flush()
                data = data[half:]
            if name in index.held:
                index.begun.set()
                index.let_go.wait()
            if index.breaks.get(name, 0):
                index.breaks[name] -= 1
                self.close_connection = True
                return
            try:
                self.wfile.write(data)
            except OSError:  # whoever asked is gone
                self.close_connection = True

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tells of errors of its own; not of an installer that ends and leaves, which would stand among what tests hear."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve_index() -> Iterator[Index]:
    """An index without a wheel yet, as long as it is wanted."""
    index = Index()
    server = _Server(("127.0.0.1", 0), _handler(index))
    server.daemon_threads = True
    server.block_on_close = False
    index.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield index
    finally:
        index.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
