# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says while it goes: `log.jsonl`, TensorBoard figures, sample sheets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from portrait_shared.files.whole_files import write_error, write_whole
from torch.utils.tensorboard import SummaryWriter


class RunLog:
    """Writes a run's figures; a resumed run goes on in the same files.

    `log.jsonl` has one JSON object a line, each with `event`, `step` and `time` (seconds since 1970).
    """

    def __init__(self, folder: Path) -> None:
        """Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
        try:
            (folder / "samples").mkdir(parents=True, exist_ok=True)
            self._lines = (folder / "log.jsonl").open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise write_error(folder, error) from error
        self._folder = folder
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def event(self, event: str, step: int, **values: Any) -> None:
        """One line of the log; numbers go to TensorBoard as well, as `event/name`."""
        self._lines.write(json.dumps({"event": event, "step": step, "time": round(time.time(), 1), **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{event}/{name}", value, step)

    def sheet(self, name: str, step: int, picture: np.ndarray) -> None:
        """A sample sheet, `samples/STEP-NAME.png`: (H, W, 3) uint8 RGB."""
        path = self._folder / "samples" / f"{step:08d}-{name}.png"
        write_whole(path, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
        self._board.add_image(f"samples/{name}", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Writes what is left."""
        self._board.close()
        self._lines.close()
