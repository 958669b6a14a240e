# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what must come. How long it takes is no test's business: the limit is there for what never comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 0.005


def patient_client() -> Iterator[None]:
    """Takes the client's own limits of time away, which are for people who wait: a fixture's body."""
    from portrait_shared.client import launcher, link

    with pytest.MonkeyPatch.context() as patch:
        for name in ("START_SECONDS", "RECONNECT_SECONDS", "GREETING_SECONDS", "SILENCE_SECONDS", "_STOP_SECONDS"):
            patch.setattr(link, name, PATIENCE_SECONDS)
        patch.setattr(launcher, "_ASK_TIMEOUT_SECONDS", 60.0)
        yield


def wait_until(
    condition: Callable[[], object],
    step: Callable[[], object] = lambda: None,
    note: Callable[[], object] = lambda: "it does not come",
) -> None:
    """Takes a step at a time until the condition holds.

    Args:
        note: what to say of the state where it never does.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, note()
        step()
        time.sleep(_LOOK_SECONDS)
