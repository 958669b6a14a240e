# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator recorded: what it draws is what the generator itself draws."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from portrait_server.networks.configurations import build
from portrait_server.networks.output import Output, References
from portrait_server.networks.portrait_generator import Features, PortraitGenerator
from portrait_server.networks.traced import TracedGenerator

from tests.posing import blinking, speaking, turned

SIDE = 64


@pytest.fixture(scope="module")
def generator() -> PortraitGenerator:
    torch.manual_seed(7)
    generator = build("tiny-portrait").eval().requires_grad_(False).generator
    assert isinstance(generator, PortraitGenerator)
    for parameter in generator.parameters():
        parameter += 0.02 * torch.randn_like(parameter)
    return generator


def placed(points: np.ndarray) -> torch.Tensor:
    half = np.array([0.5, 0.5, 0])
    return torch.from_numpy(((points + half) * SIDE / 256 - half).astype(np.float32))[None]


def of_some(generator: PortraitGenerator, face: np.ndarray, count: int) -> Features:
    points = torch.stack([placed(each) for each in (face, turned(face, yaw=10), speaking(face, 0.1))[:count]], 1)
    with torch.inference_mode():
        images = torch.rand(1, count, 3, SIDE, SIDE)
        return generator.encode(References(images, points, torch.rand(1, count, 1, SIDE, SIDE)))


def same(one: Output, other: Output) -> bool:
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("image", "warped", "flow", "merge"))


@pytest.mark.parametrize("count", [1, 3])
def test_every_target_is_drawn_as_the_generator_draws_it(
    generator: PortraitGenerator, face: np.ndarray, count: int
) -> None:
    traced, features, style = TracedGenerator(generator), of_some(generator, face, count), torch.rand(1, 16)
    style = generator.style(style)
    targets = [placed(each) for each in (face, turned(face, yaw=-20), blinking(face), speaking(face, 0.2), face + 40)]
    drafts = [torch.rand(1, 4, SIDE, SIDE) for _ in targets]
    with torch.inference_mode():
        expected = [
            generator.draw(features, *each, draft)
            for each, draft in zip(((t, style) for t in targets), drafts, strict=True)
        ]
    # By threads of which the first to come records it.
    with ThreadPoolExecutor(3, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        drawn = list(threads.map(lambda target, draft: traced.draw(features, target, style, draft), targets, drafts))
    assert all(map(same, drawn, expected))


def test_portraits_of_different_counts_in_turn(generator: PortraitGenerator, face: np.ndarray) -> None:
    traced, style, draft = TracedGenerator(generator), generator.style(torch.rand(1, 16)), torch.rand(1, 4, SIDE, SIDE)
    target = placed(turned(face, pitch=8))
    for count in (1, 2, 1, 3):
        features = of_some(generator, face, count)
        with torch.inference_mode():
            assert same(traced.draw(features, target, style, draft), generator.draw(features, target, style, draft))


def test_generators_of_one_build_draw_each_with_its_own_weights(generator: PortraitGenerator, face: np.ndarray) -> None:
    other = copy.deepcopy(generator)
    for parameter in other.parameters():
        parameter += 0.02 * torch.randn_like(parameter)
    generators, target, draft = [generator, other, generator, other], placed(face), torch.rand(1, 4, SIDE, SIDE)
    features, style = of_some(generator, face, 2), generator.style(torch.rand(1, 16))
    with torch.inference_mode():
        expected = [one.draw(features, target, style, draft) for one in generators]
    assert not same(expected[0], expected[1])
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        drawn = list(threads.map(lambda one: TracedGenerator(one).draw(features, target, style, draft), generators))
    assert all(map(same, drawn, expected))
