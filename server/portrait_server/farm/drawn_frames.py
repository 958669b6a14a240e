# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way from a request to frames, for `portrait render` and for jobs: the same request gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from portrait_server.engines.registry import meant_engine
from portrait_server.farm.frame_request import FrameRequest, not_of_plates
from portrait_server.farm.photo_frames import PhotoFrames, client_of

if TYPE_CHECKING:
    from portrait_server.farm.shot_frames import ShotFrames

DrawnFrames: TypeAlias = "PhotoFrames | ShotFrames"


@contextmanager
def drawn_frames(
    request: FrameRequest, device: str = "auto", connect: Path | None = None, name: str = "portrait render"
) -> Iterator[DrawnFrames]:
    """What draws a request's frames, until the context ends.

    Args:
        device: what draws, as `portrait_shared.devices.device_names` takes it; of several the first.
        connect: connection file of the server that draws photos; one of its own where None.
        name: what the server's log calls the client.

    Raises:
        PortraitError: as `PhotoFrames`, `ShotFrames` and `client_of`; BAD_CONFIGURATION for a plate and `connect`.
    """
    if request.plate is None:
        engine = meant_engine(request.engine, request.personal is not None)
        with client_of(device, engine, connect, name) as client:
            yield PhotoFrames(request, client)
        return
    if connect is not None:
        raise not_of_plates("connect")
    # Only now: it loads detectors, four fifths of what a task of photos would take to start.
    from portrait_server.farm.shot_frames import ShotFrames

    with closing(ShotFrames(request, request.plate, device)) as frames:
        yield frames
