# SPDX-License-Identifier: GPL-3.0-or-later
"""The one client: the extension, the command line and a farm all use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from portrait_shared.connection import Connection
from portrait_shared.launcher import ServerProcess
from portrait_shared.references import Detection, Frame, PortraitHandle, ReferenceImage, ServerInfo
from portrait_shared.render_stream import RenderStream

__all__ = ["Client", "Detection", "Frame", "PortraitHandle", "ReferenceImage", "RenderStream", "ServerInfo"]


class Client:
    """Talks to one server. Used by one thread; every wait is bounded.

    Args:
        connection: where the server is; given a `ServerProcess`, the client starts it,
            and starts it again after a crash.
        name: what the server's log calls this client.
        restarts: how many crashes in a row are forgiven; a server that lived 10 s counts as stable.
    """

    server: ServerInfo

    def __init__(self, connection: Connection | ServerProcess, *, name: str = "client", restarts: int = 5) -> None:
        raise NotImplementedError

    def connect(self) -> ServerInfo:
        """Says hello. Raises PortraitError VERSION_MISMATCH or SERVER_UNAVAILABLE. Other calls do it when needed."""
        raise NotImplementedError

    def detect(self, image: np.ndarray, *, detector: str | None = None, face: int | None = None) -> Detection:
        """Finds a face: the largest, or number `face` from 0 in order of size.

        Raises:
            PortraitError: NO_FACE, NO_SUCH_FACE, UNKNOWN_DETECTOR, WEIGHTS_MISSING, BAD_IMAGE.
        """
        raise NotImplementedError

    def prepare(self, references: Sequence[ReferenceImage], *, engine: str | None = None) -> PortraitHandle:
        """Makes a portrait ready to be driven. Points that are None are detected on the server."""
        raise NotImplementedError

    def render(
        self,
        portrait: PortraitHandle,
        points: np.ndarray,
        frames: Sequence[int],
        *,
        size: tuple[int, int] | None = None,
        matte: bool = False,
        encoding: Literal["png", "raw"] = "png",
        window: int | None = None,
    ) -> RenderStream:
        """Asks for frames, which then stream in.

        Args:
            portrait: from `prepare`, of this client or another.
            points: (T, 70, 2 or 3) pixels of the first reference, one row a frame.
            frames: T numbers, no two alike.
            size: (width, height); the first reference's where None.
            matte: frames get the person's alpha as a fourth channel.
            encoding: ``png``: finished files; ``raw``: arrays.
            window: how many frames the server may be ahead of the reader; what keeps the engine busy where None.
        """
        raise NotImplementedError

    def frame_digest(
        self, portrait: PortraitHandle, row: np.ndarray, size: tuple[int, int] | None = None, matte: bool = False
    ) -> str:
        """The content hash that the frame of this row (70, 2 or 3) will have."""
        raise NotImplementedError

    def echo(self, *, through_engine: bool = False) -> float:
        """Round-trip time in seconds, through the server's queue of engine work if asked."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """The server's counters."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """Asks the server to stop: it finishes the batch in hand and hands the rest back."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of the server at once; it keeps running unless it is a `ServerProcess` of its own. Never hangs."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
