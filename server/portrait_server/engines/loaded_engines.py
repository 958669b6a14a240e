# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines that a server draws with, as they are and tuned to persons."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile

from portrait_server.engines.base import Engine
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.registry import ENGINES, TUNED_ENGINE, create_engine, meant_engine
from portrait_server.networks.device_errors import DeviceLost, device_error

log = logging.getLogger(__name__)


@runtime_checkable
class Tunable(Protocol):
    """An engine that can be tuned to one person.

    Attributes:
        painters: what tuning changes, before any tuning.
        checksum: of their weights.
    """

    name: str
    painters: Any
    checksum: str

    def tuned(self, file: PersonalFile) -> Engine:
        """This engine with a person's tuning applied; itself is left as it was."""


def tunable(engine: Engine) -> Tunable:
    """Raises: PortraitError: UNKNOWN_ENGINE for an engine that cannot be tuned."""
    if not isinstance(engine, Tunable):
        raise PortraitError(
            ErrorCode.UNKNOWN_ENGINE, f"The engine {engine.name!r} cannot be tuned to a person.",
            f"Choose the engine {TUNED_ENGINE}, or leave the tuning out.",
        )  # fmt: skip
    return engine


class LoadedEngines:
    """Every engine there is, or one of them, loaded where that was possible.

    Attributes:
        fingerprints: of those that work, by name.
        layers: what all of them build of portraits.
    """

    def __init__(self, device: str, only: str | None = None) -> None:
        """
        Args:
            device: as `create_engine` takes it.
            only: the one that is loaded, of `ENGINES`.

        Raises:
            DeviceLost: nothing can be computed on it in this process.
        """
        self.layers = LayerMemory()
        self._engines: dict[str, Engine] = {}
        self._broken: dict[str, tuple[ErrorCode, str, str]] = {}
        for name in ENGINES if only is None else (only,):
            try:
                self._engines[name] = create_engine(name, device, self.layers)
            except PortraitError as error:
                self._broken[name] = error.code, error.message, error.remedy
            except Exception as error:
                log.exception("The engine %s cannot be loaded", name)
                known = device_error(error)
                if isinstance(known, DeviceLost):
                    raise known from error
                self._broken[name] = (
                    known.code if known is not None else ErrorCode.INTERNAL,
                    f"The engine {name} cannot be loaded: {known or f'{type(error).__name__}: {error}.'}",
                    "Start the server again when that is mended; its log says more, and `portrait doctor` checks the "
                    "installation.",
                )  # fmt: skip
        self._newest_tuned: tuple[str, Engine] | None = None

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {name: engine.fingerprint for name, engine in self._engines.items()}

    def get(self, name: str | None, *, tuned: bool = False) -> Engine:
        """An engine by its name; None is the default one, or with `tuned` the one that can be tuned.

        Raises:
            PortraitError: UNKNOWN_ENGINE; what kept it from being loaded, such as WEIGHTS_MISSING.
        """
        name = meant_engine(name, tuned)
        if name in self._broken:
            # A new one each time: one that is kept would gather the tracebacks of all requests.
            raise PortraitError(*self._broken[name])
        if name not in self._engines:
            left_out = "or start the server without --engine" if name in ENGINES else "which the server has"
            raise PortraitError(
                ErrorCode.UNKNOWN_ENGINE, f"There is no engine named {name!r}.",
                f"Choose one of: {', '.join(sorted(self._engines))}, {left_out}.",
            )  # fmt: skip
        if tuned:
            tunable(self._engines[name])
        return self._engines[name]

    def tuned(self, engine: Engine, file: PersonalFile) -> Engine:
        """An engine tuned by a file. Called by the thread that prepares portraits alone.

        Raises:
            PortraitError: BAD_WEIGHTS.
        """
        key = f"{engine.fingerprint} {file.digest}"
        if self._newest_tuned is None or self._newest_tuned[0] != key:
            # One is kept for the next portrait of the person; the others live as long as their portraits.
            self._newest_tuned = key, tunable(engine).tuned(file)
        return self._newest_tuned[1]
