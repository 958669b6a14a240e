# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ctrl-C that comes at a bad moment."""

from __future__ import annotations

import sys

import pytest
from portrait_shared.terminal import every_interrupt_heard

from tests.waiting import wait_until


class Interrupted:
    """Somebody presses Ctrl-C while it is deleted."""

    def __del__(self) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_while_an_object_is_deleted_is_not_lost() -> None:
    usual = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), every_interrupt_heard():
        Interrupted()
        wait_until(lambda: False)
    assert sys.unraisablehook is usual


def test_other_failures_there_are_told_as_always(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("of no matter")

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    with every_interrupt_heard():
        Failing()
    assert "of no matter" in capsys.readouterr().err
