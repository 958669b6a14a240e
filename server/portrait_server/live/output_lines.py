# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the program that started this one, each written at once."""

from __future__ import annotations

import os
import sys


def write_line(line: str) -> None:
    """Writes a line to standard output. Raises BrokenPipeError where nobody reads, which `print` would swallow."""
    data = (line + "\n").encode()
    try:
        while data:
            data = data[os.write(sys.__stdout__.fileno(), data) :]  # type: ignore[union-attr]
    except OSError as error:  # Windows calls it an invalid argument
        raise BrokenPipeError from error
