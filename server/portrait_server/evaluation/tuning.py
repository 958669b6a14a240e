# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning, where an engine knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.engines.base import Engine


@runtime_checkable
class Tunable(Protocol):
    """An engine that can be tuned to one person."""

    def personalized(self, file: Path) -> Engine:
        """This engine with a person's tuning file applied; itself is left as it was."""


def personalized(engine: Engine, file: Path) -> Engine:
    """The engine tuned by a file of `portrait adapt`.

    Raises:
        PortraitError: UNKNOWN_ENGINE for an engine that cannot be tuned; what it raises for a bad file.
    """
    if not isinstance(engine, Tunable):
        raise PortraitError(
            ErrorCode.UNKNOWN_ENGINE,
            f"The engine {engine.name!r} cannot be tuned to a person.",
            "Choose another with --engine, or leave out --personal.",
        )
    if not file.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {file}.", "Make it with `portrait adapt`.")
    return engine.personalized(file)
