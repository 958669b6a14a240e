# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of names for NumPy's arrays and torch's tensors, found fast: a frame asks for it some hundred times."""

from __future__ import annotations

from typing import Any

import array_api_compat

_KNOWN: dict[type, Any] = {}


def array_namespace(array: Any) -> Any:
    """As `array_api_compat.array_namespace` of one array, which looks through all kinds of arrays each time."""
    kind = type(array)
    if kind not in _KNOWN:
        _KNOWN[kind] = array_api_compat.array_namespace(array)
    return _KNOWN[kind]
