# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a shot that the live preview draws from: each is had once, by a command. Knows nothing of Blender's data."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.protocol.references import ReferenceImage

from ..connection import server
from ..connection.command_run import CommandRun
from ..portraits.shot_parts import read_frame

_KEPT: Final = 16


@dataclass(frozen=True, eq=False)
class FilmedFrame:
    """A frame of a shot, with the face that was found in it.

    Attributes:
        shot: as `portrait_shared.shots` names it.
        index: from 0.
        points: (70, 3) pixels.
    """

    shot: Path
    index: int
    points: np.ndarray


class ShotFrames:
    """Those that were asked for last, in memory. Used from the preview's thread; `end` from any."""

    def __init__(self) -> None:
        self._run = CommandRun()
        self._held: OrderedDict[tuple[Path, int], np.ndarray] = OrderedDict()

    def reference(self, client: Client, launch: server.Launch, frame: FilmedFrame) -> ReferenceImage:
        """The frame as what is drawn from.

        Raises:
            PortraitError: as `read_frame`; CANCELLED after `end`.
        """
        place = frame.shot, frame.index
        if place not in self._held:
            with PrivateFolder() as folder:
                picture = folder / "frame.png"
                read_frame(launch, frame.shot, frame.index, picture, self._run)
                self._held[place] = client.read_picture(picture.read_bytes(), picture.suffix)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(place)
        return ReferenceImage(self._held[place], frame.points)

    def end(self) -> None:
        """Ends a command that runs."""
        self._run.end()
