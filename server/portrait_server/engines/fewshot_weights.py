# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the weights of the engine fewshot lie. Importing this does not load torch, which takes seconds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.model_files import PAINTERS

WEIGHTS_VARIABLE: Final = "TALKING_PORTRAITS_WEIGHTS"


def find_weights() -> Path:
    """The file that the environment names, else the one that ships.

    Raises:
        PortraitError: WEIGHTS_MISSING; BAD_WEIGHTS where the file that ships was changed.
    """
    named = os.environ.get(WEIGHTS_VARIABLE)
    path = Path(named) if named else PAINTERS.path
    if not os.path.isfile(path):
        raise PortraitError(
            ErrorCode.WEIGHTS_MISSING, f"The engine fewshot needs weights: there is no file {path}.",
            f"Use the engine warp, or train weights with `portrait train` and set {WEIGHTS_VARIABLE} to their file.",
        )  # fmt: skip
    if not named:
        PAINTERS.check()
    return path
