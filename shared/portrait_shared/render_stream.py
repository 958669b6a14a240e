# SPDX-License-Identifier: GPL-3.0-or-later
"""RenderStream: frames as they arrive, at the pace of whoever reads them."""

from __future__ import annotations

from typing import Self

from portrait_shared.references import Frame


class RenderStream:
    """Iterates over the frames of one render, in the order asked for.

    Attributes:
        total: how many frames were asked for.
        done: how many have been handed out.
    """

    total: int
    done: int

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        """The next frame; waits for it.

        Raises:
            PortraitError: whatever stopped the render; SERVER_LOST where it could not be taken up again.
        """
        raise NotImplementedError

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None where none came in time or all are done."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stops the render; iteration ends. Safe to call twice, and after the end."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
