# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers do for clients: requests that are done once, batches of frames, and frames' way into files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import channels_of
from portrait_shared.protocol.messages import Message, RenderedFrame

from portrait_server.media.exr import encode_exr
from portrait_server.media.png import encode_png
from portrait_server.networks.device import Device
from portrait_server.service.budgets import Ledger
from portrait_server.service.open_render import OpenRender
from portrait_server.service.sessions import Session

Place = Literal["helper", "preparer", "engine"]


@dataclass(frozen=True, eq=False)
class RequestTask:
    """A request that is done once: detect, prepare, verify an image, echo.

    Attributes:
        run: does it, on another thread.
        finish: called on the service's own thread with what `run` returned; gives the answer.
        place: who runs it: a helper, the thread that prepares and detects, or one of those that draw.
        held_bytes: what it holds until it has been answered.
    """

    session: Session
    request: int
    run: Callable[[], Any]
    finish: Callable[[Any], Message]
    place: Place = "preparer"
    held_bytes: int = 0

    @classmethod
    def charged(
        cls, ledger: Ledger, session: Session, request: int, run: Callable[[], Any],
        finish: Callable[[Any], Message], place: Place, held_bytes: int = 0,
    ) -> RequestTask:  # fmt: skip
        """A task that the ledger has taken note of, as of all that clients ask for.

        Raises:
            PortraitError: BUSY.
        """
        ledger.charge(session, held_bytes)
        return cls(session, request, run, finish, place, held_bytes)


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Some frames of one render, drawn in one call."""

    render: OpenRender
    indices: range

    @property
    def session(self) -> Session:
        return self.render.session

    @property
    def cost(self) -> int:
        """In pixels to be drawn."""
        return len(self.indices) * self.render.cost

    def run(self) -> list[np.ndarray] | None:
        """N frames (height, width, 3 or 4) uint8 or uint16, or layered (height, width, K) float32, with what they show of
        having been made; None where nobody waits for them any more."""
        render = self.render
        if render.ended:
            return None
        engine, portrait = render.portrait.engine, render.portrait.value
        points, body, others = render.points(self.indices), render.body(self.indices), render.others(self.indices)
        if render.layers:
            frames = engine.render_layers(portrait, points, render.size, render.matte, render.layers, body, others)
            dtype, channels = np.dtype(np.float32), [len(channels_of(render.layers))]
        else:
            frames = engine.render(portrait, points, render.size, render.matte, body, others)
            dtype, channels = render.portrait.dtype, [3, 4]
        wanted = (len(self.indices), render.size[1], render.size[0])
        if frames.dtype != dtype or frames.ndim != 4 or frames.shape[:3] != wanted or frames.shape[3] not in channels:
            raise PortraitError(ErrorCode.INTERNAL, f"The engine drew {frames.shape} {frames.dtype}, not {wanted}.")
        return render.disclosed(np.ascontiguousarray(frames), self.indices)


@dataclass(frozen=True, eq=False)
class FrameEncoding:
    """One frame on its way into a file, which names the device that drew it."""

    render: OpenRender
    index: int
    pixels: np.ndarray
    device: Device

    def run(self) -> RenderedFrame | None:
        """The frame; None where nobody waits for it any more."""
        if self.render.ended:
            return None
        render = self.render
        digest, engine, drawn_by = render.digest(self.index), render.portrait.engine.name, self.device.kind
        frame = render.request, render.number(self.index), digest
        if render.layers:
            return RenderedFrame(
                *frame, exr=encode_exr(self.pixels, render.layers, render.colorspace, digest, engine, drawn_by)
            )
        return RenderedFrame(*frame, encode_png(self.pixels, digest, engine, drawn_by))
