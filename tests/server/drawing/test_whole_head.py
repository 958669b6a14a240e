# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that turns is a body: hair, ears and neck turn with the face, and nothing is drawn out into a wall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from portrait_server.corpora.rendered.renderer import Renderer
from portrait_shared.errors import PortraitError

from tests.server.drawing import whole_heads

# What `warp` of commit 2fd3795, a face mesh with flat rings around it, had on these very pictures: rendered by this
# code, measured by that checkout, as `whole_heads` says. A copy along the exact flow of what the photograph shows,
# with one mean colour for what it does not, has a third of it: that much is light and what nobody can know.
FLAT_RINGS = {"yaw 30": 0.0715, "yaw 45": 0.0934, "pitch 20": 0.0477}
# The share of that which may be left. Half is the aim for yaw, not reached yet; measured: 0.71, 0.64, 0.77.
LEFT = {"yaw 30": 0.725, "yaw 45": 0.66, "pitch 20": 0.79}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    reason = whole_heads.missing()
    if reason:
        pytest.skip(reason)
    try:
        Renderer()
    except PortraitError as error:
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("heads")
    whole_heads.render_heads(folder)
    return whole_heads.errors(folder)


@pytest.mark.parametrize("turn", list(FLAT_RINGS))
def test_a_turned_head_errs_less_than_with_flat_rings(errors: dict[str, dict[str, float]], turn: str) -> None:
    by_hair = errors[turn]
    assert np.mean(list(by_hair.values())) <= LEFT[turn] * FLAT_RINGS[turn], by_hair
