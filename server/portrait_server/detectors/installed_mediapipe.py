# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MediaPipe is installed, and its networks. Importing this loads nothing of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from portrait_server.detectors.mediapipe_networks import Networks


def brings_its_networks() -> bool:
    """Whether the MediaPipe that is installed has “solutions”, and so its networks; nothing of it is loaded to find out."""
    spec = importlib.util.find_spec("mediapipe")
    places = (spec.submodule_search_locations if spec else None) or []
    return any((Path(place) / "python" / "solutions").is_dir() for place in places)


def installed_networks() -> Networks:
    """Those of the MediaPipe that is installed.

    Raises:
        PortraitError: BAD_WEIGHTS where a file is damaged, WEIGHTS_MISSING where one cannot be downloaded.
    """
    if brings_its_networks():
        from portrait_server.detectors.mediapipe_solutions import SolutionNetworks

        return SolutionNetworks()
    from portrait_server.detectors.mediapipe_tasks import TaskNetworks

    return TaskNetworks()
