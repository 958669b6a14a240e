# SPDX-License-Identifier: GPL-3.0-or-later
"""Names to choose a free one from, numbered the way Blender numbers its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def numbered_names(name: str) -> Iterator[str]:
    """The name itself, then name.001, name.002 … without end."""
    yield name
    yield from (f"{name}.{number:03d}" for number in count(1))
