# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines by name. Importing this loads none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.engines.base import Engine
from portrait_server.engines.layer_memory import LayerMemory


def _warp(device: str, layers: LayerMemory) -> Engine:
    from portrait_server.engines.batches import batches_on
    from portrait_server.engines.warp import WarpEngine

    return WarpEngine(batches_on(device), layers)


def _fewshot(device: str, layers: LayerMemory) -> Engine:
    from portrait_server.engines.fewshot_weights import find_weights

    weights = find_weights()  # first: without them there is no need to load torch
    from portrait_server.engines.fewshot import FewshotEngine

    return FewshotEngine(device, weights, layers=layers)


ENGINES: dict[str, Callable[[str, LayerMemory], Engine]] = {"warp": _warp, "fewshot": _fewshot}
DEFAULT_ENGINE: Final = "warp"
TUNED_ENGINE: Final = "fewshot"
"""What a client means that names no engine but a person's tuning."""


def meant_engine(name: str | None, tuned: bool) -> str:
    """The engine that is meant by its name, or where none is named, by whether a person's tuning is given."""
    return name or (TUNED_ENGINE if tuned else DEFAULT_ENGINE)


def create_engine(name: str, device: str, layers: LayerMemory | None = None) -> Engine:
    """A new engine.

    Args:
        name: one of `ENGINES`.
        device: ``cpu``, ``cuda``, ``rocm``, ``xpu``, ``mps`` or ``cuda:1``, as `resolve_device` returns it.
        layers: where it keeps what it builds of portraits, shared with other engines; its own where None.

    Raises:
        PortraitError: UNKNOWN_ENGINE; what the engine raises, such as WEIGHTS_MISSING.
    """
    if name not in ENGINES:
        raise PortraitError(
            ErrorCode.UNKNOWN_ENGINE,
            f"There is no engine named {name!r}.",
            f"Choose one of: {', '.join(sorted(ENGINES))}.",
        )
    return ENGINES[name](device, layers or LayerMemory())
