# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that tests of every engine share; none writes frames into their folders."""

from __future__ import annotations

import pytest
from portrait_server.engines.base import Reference
from portrait_server.farm.farm_job import FarmJob

from tests.server.farm.small_jobs import photo_job, shot_job


@pytest.fixture(scope="session")
def small_job(astronaut: Reference, tmp_path_factory: pytest.TempPathFactory) -> FarmJob:
    """Frames 1 to 6 of a photo whose mouth opens."""
    return photo_job(tmp_path_factory.mktemp("photo"), astronaut, 6)


@pytest.fixture(scope="session")
def small_shot_job(astronaut: Reference, tmp_path_factory: pytest.TempPathFactory) -> FarmJob:
    """Frames 1 to 3 of a filmed shot."""
    return shot_job(tmp_path_factory.mktemp("shot"), astronaut, 3)
