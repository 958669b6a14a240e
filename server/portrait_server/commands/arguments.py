# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of values on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

_MOST_DIGITS: Final = 20


def whole_number(low: int, high: int, needed: str) -> Callable[[str], int]:
    """What argparse makes a number from `low` to `high` with.

    Args:
        needed: what to say of anything else, such as "a process's number".
    """

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or not low <= (number := int(text[:_MOST_DIGITS])) <= high:
            raise argparse.ArgumentTypeError(f"{needed} is needed")
        return number

    return parse
