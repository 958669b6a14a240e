# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines by name. Importing this loads none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.engines.base import Engine


def _warp(device: str) -> Engine:
    from portrait_server.engines.warp import WarpEngine

    return WarpEngine()  # it draws on the CPU, whatever there is


def _fewshot(device: str) -> Engine:
    from portrait_server.engines.fewshot_weights import find_weights

    weights = find_weights()  # first: without them there is no need to load torch
    from portrait_server.engines.fewshot import FewshotEngine

    return FewshotEngine(device, weights)


ENGINES: dict[str, Callable[[str], Engine]] = {"warp": _warp, "fewshot": _fewshot}
DEFAULT_ENGINE: Final = "warp"


def create_engine(name: str, device: str) -> Engine:
    """A new engine.

    Args:
        name: one of `ENGINES`.
        device: ``cpu`` or ``cuda``.

    Raises:
        PortraitError: UNKNOWN_ENGINE; what the engine raises, such as WEIGHTS_MISSING.
    """
    if name not in ENGINES:
        raise PortraitError(
            ErrorCode.UNKNOWN_ENGINE,
            f"There is no engine named {name!r}.",
            f"Choose one of: {', '.join(sorted(ENGINES))}.",
        )
    return ENGINES[name](device)
