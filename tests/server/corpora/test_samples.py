# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples hold together, and can be mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.corpora.sample import Sample
from portrait_shared.landmarks import MIRROR

from tests.server.corpora.made_up import Noise

SIDE = 8


def full_sample() -> Sample:
    rng = np.random.default_rng(0)
    bare = Noise().sample(rng, 2, SIDE)
    plane = lambda *shape: rng.integers(0, 256, (*shape, SIDE, SIDE)).astype(np.uint8)  # noqa: E731
    return Sample(
        bare.references, bare.reference_points, bare.target, bare.target_points, 1,
        plane(), plane(2), rng.integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8), rng.random((SIDE, SIDE, 2), np.float32) * SIDE, plane(), plane(),
        plane(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", np.zeros((SIDE, SIDE + 1, 3), np.uint8)),
        ("references", np.zeros((2, SIDE, SIDE, 3), np.float32)),
        ("target_points", np.zeros((68, 3), np.float32)),
        ("draft", np.zeros((SIDE, SIDE, 3), np.uint8)),
        ("flow", np.zeros((SIDE, SIDE, 2))),
        ("matte", np.zeros((SIDE, SIDE, 1), np.uint8)),
        ("visibility", None),
        ("identity", -1),
    ],
)
def test_a_sample_that_does_not_fit_together_is_refused(name: str, value: object) -> None:
    fields = {field: getattr(full_sample(), field) for field in Sample.__dataclass_fields__}
    with pytest.raises(ValueError, match=name if name != "identity" else "identity"):
        Sample(**{**fields, name: value})


def test_mirrored_twice_is_as_before() -> None:
    sample = full_sample()
    again = sample.mirrored().mirrored()
    for name in Sample.__dataclass_fields__:
        assert np.allclose(getattr(again, name), getattr(sample, name), atol=1e-5), name


def test_mirrored_points_and_flow_follow_the_pictures() -> None:
    sample = full_sample()
    mirrored = sample.mirrored()
    assert np.array_equal(mirrored.target[2, 1], sample.target[2, SIDE - 2])
    assert np.array_equal(mirrored.draft[2, 1], sample.draft[2, SIDE - 2])
    left = sample.target_points[36]
    assert np.allclose(mirrored.target_points[MIRROR[36]], [SIDE - 1 - left[0], left[1], left[2]])
    x, y = sample.flow[2, SIDE - 2]
    assert np.allclose(mirrored.flow[2, 1], [SIDE - 1 - x, y])
