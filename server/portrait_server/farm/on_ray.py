# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's frames, drawn by a Ray cluster: what is missing is handed out, a lost cluster is connected to again."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.frames.frame_files import frame_path, prepare_folder, valid_frames

from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.ray_driver import LOCAL
from portrait_server.farm.ray_placement import Wish
from portrait_server.farm.worker import check_chunk, keep_inputs

_ADDRESS: Final = re.compile(r"(?:ray://)?(\[[\da-fA-F:]+\]|[\w.-]+):(\d{1,5})|auto|local")
_KNOCK_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 2.0
_WRONG_TOKEN: Final = "InvalidAuthToken"
_END_SECONDS: Final = 60.0
"""How long the other process may take to end its workers, and a cluster of its own: killed, it would leave them behind."""
_RECONNECTS: Final = 5
"""How often in a row, without a frame in between, a lost cluster is connected to again."""
_RECONNECT_WAIT_SECONDS: Final = 10.0
_KEPT_LINES: Final = 20


def check_ray(address: str) -> None:
    """Whether a cluster can be asked at all.

    Raises:
        PortraitError: BAD_CONFIGURATION where Ray is not installed, or for what is no address of a cluster;
            SERVER_UNAVAILABLE where nothing is reached there.
    """
    if importlib.util.find_spec("ray") is None:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, "Ray is not installed here.",
            "Install it: pip install 'talking-portraits[ray]'; or render without --ray.",
        )  # fmt: skip
    found = _ADDRESS.fullmatch(address)
    if found is None or (found[2] and not 0 < int(found[2]) < 1 << 16):
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{address!r} is no address of a Ray cluster.",
            "Give HOST:PORT of its head, ray://HOST:10001 from a machine outside it, auto for the one that this machine "
            "belongs to, or local for workers on this machine alone.",
        )  # fmt: skip
    if found[1] is None:
        return
    try:
        # Ray itself would try for minutes.
        socket.create_connection((found[1].strip("[]"), int(found[2])), _KNOCK_SECONDS).close()
    except OSError as error:
        raise PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, f"No Ray cluster is reached at {address!r}: {error}.",
            "Check the address, and that the head runs: `ray start --head` starts one, and says where.",
        ) from error  # fmt: skip


def render_on_ray(
    job: FarmJob,
    frames: Sequence[int],
    output: Path,
    address: str,
    wish: Wish,
    *,
    again: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[StoredFrame]:
    """Brings frames of a job up to date.

    Args:
        frames: a part of the job's.
        output: their folder. Workers that see it under the same path write there; others send frames back.
        address: ``local``, ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        again: draws also those that are there and valid.
        note: told, in a sentence each, of workers that come and go.

    Yields:
        Every frame once, when its file is there: first those that are valid.

    Raises:
        PortraitError: as `check_ray` and `RayCrew.run`; SERVER_UNAVAILABLE, SERVER_LOST; OUTPUT_NOT_WRITABLE, DISK_FULL.
            Frames that are there stay.
    """
    check_chunk(job, frames)
    keep_inputs(job, output)
    check_ray(address)
    written = (frame_path(output, number, suffix=job.suffix) for number in frames)
    keep_sources(written, [job.folder / name for name in job.inputs])
    left, losses = {*frames}, 0
    while left:
        prepare_folder(output)
        if not again:
            digests = {number: job.digests[number] for number in left}
            for number, sha256 in valid_frames(output, digests, suffix=job.suffix).items():
                left.remove(number)
                yield StoredFrame(number, frame_path(output, number, suffix=job.suffix), False, sha256)
        if not left:
            return
        order = {
            "address": address, "wish": dataclasses.asdict(wish), "job": str(job.folder), "output": str(output),
            "frames": sorted(left), "again": again,
        }  # fmt: skip
        try:
            if losses:
                check_ray(address)
            with _Driver(order) as driver:
                for number, drawn, sha256 in driver.stored(note):
                    losses = 0
                    if number in left:
                        left.remove(number)
                        yield StoredFrame(number, frame_path(output, number, suffix=job.suffix), drawn, sha256)
        except (_Lost, PortraitError) as lost:
            if isinstance(lost, PortraitError) and not (losses and lost.code is ErrorCode.SERVER_UNAVAILABLE):
                raise
            losses += 1
            if losses > _RECONNECTS:
                raise PortraitError(
                    ErrorCode.SERVER_LOST, f"The Ray cluster at {address!r} was lost: {lost}",
                    "Start it again, then render again: frames that are there stay.",
                ) from None  # fmt: skip
            note(f"The Ray cluster was lost ({lost}); connecting again, {losses} of {_RECONNECTS}")
            time.sleep(0.0 if address == LOCAL else _RECONNECT_WAIT_SECONDS)


class _Lost(Exception):
    """The process that talks to Ray has ended without having said why."""


class _Driver:
    """That process (`ray_driver`), which ends with the context."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._words: deque[str] = deque(maxlen=_KEPT_LINES)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "portrait_server.farm.ray_driver"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for this process, which then ends that one
        )  # fmt: skip
        for read in (self._read_events, self._read_words):
            threading.Thread(target=read, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, and what was not yet written to it cannot be
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stored(self, note: Callable[[str], None]) -> Iterator[tuple[int, bool, str]]:
        """The frames whose files are there, until all are: numbers, whether each was drawn now, its file's SHA-256 (hex).

        Raises:
            PortraitError: what it says; SERVER_UNAVAILABLE where it does not reach the cluster in time.
            _Lost: it has ended without a word.
        """
        self._tell(self._order)
        connected = False
        while (event := self._next(None if connected else _CONNECT_SECONDS)) is not None:
            connected = connected or "connected" in event
            if "stored" in event:
                number, drawn, sha256 = event["stored"]
                yield int(number), bool(drawn), str(sha256)
            elif "note" in event:
                note(event["note"])
            elif "error" in event:
                raise PortraitError(*event["error"])
            elif "done" in event:
                return
        raise _Lost(self._last_words())

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _Lost(self._last_words()) from error

    def _next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next event; None where the process has ended."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=None if deadline is None else _LOOK_SECONDS)
            except queue.Empty:
                self._check_connecting(deadline or 0.0)
            else:
                return json.loads(line) if line else None

    def _check_connecting(self, deadline: float) -> None:
        """Whether it may still reach the cluster: Ray goes on trying where that is in vain."""
        if any(_WRONG_TOKEN in words for words in list(self._words)):
            raise PortraitError(
                ErrorCode.NOT_ALLOWED, f"The Ray cluster at {self._order['address']!r} refuses this user's token, or asks for one.",
                "Set RAY_AUTH_TOKEN to the cluster's, or RAY_AUTH_TOKEN_PATH to a file with it (~/.ray/auth_token on its "
                "head).",
            )  # fmt: skip
        if time.monotonic() > deadline:
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE,
                f"The Ray cluster at {self._order['address']!r} does not answer: {self._last_words()}",
                "Check the address, that the head runs (`ray status`), and that Ray and Python are the same there.",
            )

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _read_words(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if words := line.decode("utf-8", "replace").strip():
                self._words.append(words)

    def _last_words(self) -> str:
        """The last line that Ray has left, for a person."""
        return self._words[-1] if self._words else "it left no word"
