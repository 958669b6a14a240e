# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes, gradients and promises of the networks, tiny; the sizes of the real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from portrait_server.networks.blocks import normalized
from portrait_server.networks.configurations import CONFIGURATIONS, Networks, build
from portrait_server.networks.flow import sampled
from portrait_server.networks.output import References, TrainingOutput
from portrait_server.networks.prior import fit_motion, flow_pixels
from torch import nn

from tests.posing import blinking, speaking, turned

SIDE, BATCH, COUNT = 64, 2, 3
TINY = ["tiny-portrait", "tiny-zakharov2019"]


def new(name: str, *, stirred: bool = False) -> Networks:
    torch.manual_seed(7)
    networks = build(name)
    if stirred:
        with torch.no_grad():
            for parameter in networks.parameters():
                parameter += 0.02 * torch.randn_like(parameter)
    return networks


@pytest.fixture
def small(face: np.ndarray) -> np.ndarray:
    """Points (70, 3) in an aligned frame of SIDE pixels."""
    half = np.array([0.5, 0.5, 0])
    return ((face + half) * SIDE / 256 - half).astype(np.float32)


@pytest.fixture
def references(small: np.ndarray) -> References:
    torch.manual_seed(1)
    points = np.stack([small, turned(small, yaw=10), speaking(small, 0.1)])
    images = nn.functional.interpolate(torch.rand(BATCH * COUNT, 3, 16, 16), size=SIDE, mode="bicubic").clamp(0, 1)
    return References(
        images.view(BATCH, COUNT, 3, SIDE, SIDE),
        torch.from_numpy(points).expand(BATCH, -1, -1, -1),
        (images[:, :1] > 0.5).float().view(BATCH, COUNT, 1, SIDE, SIDE),
    )


@pytest.fixture
def target(small: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([turned(small, yaw=-8), speaking(small, 0.05)]))


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def test_the_papers_sizes() -> None:
    networks = build("zakharov2019")
    assert millions(networks.embedder) == pytest.approx(15, abs=1)
    assert millions(networks.generator) == pytest.approx(38, abs=1)
    assert millions(networks.new_discriminator(1)) == pytest.approx(20, abs=1)
    assert networks.generator.project.bias is None


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_spectral_norm_is_on_every_convolution_it_should_be_on(name: str) -> None:
    networks = build(name)
    parts = [networks.new_discriminator(3)]
    parts += [networks.embedder, networks.generator] if networks.configuration.spectral else []
    for layer in (layer for part in parts for layer in convolutions(part)):
        assert nn.utils.parametrize.is_parametrized(layer, "weight")


def test_a_spectral_norm_is_one() -> None:
    discriminator = build("tiny-zakharov2019").new_discriminator(3)
    for layer in convolutions(discriminator):
        for _ in range(60):
            weight = layer.weight  # each look in training mode is a step of the power iteration
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", TINY)
def test_shapes_and_gradients(name: str, references: References, target: torch.Tensor) -> None:
    networks = new(name, stirred=True)
    output = networks(references, target)
    assert output.image.shape == (BATCH, 3, SIDE, SIDE)
    loss = output.image.square().mean()
    if networks.configuration.copies:
        shapes = {
            "matte": (BATCH, 1, SIDE, SIDE), "warped": (BATCH, 3, SIDE, SIDE), "mask": (BATCH, 1, SIDE, SIDE),
            "flow": (BATCH, COUNT, SIDE, SIDE, 2),
            "visibility": (BATCH, COUNT, 1, SIDE, SIDE), "merge": (BATCH, COUNT, 1, SIDE, SIDE),
        }  # fmt: skip
        assert {field: tuple(getattr(output, field).shape) for field in shapes} == shapes
        loss = loss + output.matte.mean() + 1e-3 * output.flow.mean() + output.visibility.mean()
    loss.backward()
    for part, parameter in networks.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), part
        # An attention's gamma is stirred away from 0 too, so nothing is cut off.
        assert parameter.grad.abs().max() > 0 or "conv2.bias" in part, part


def test_the_embedder_sees_the_same_in_larger_frames(references: References) -> None:
    embedder = new("tiny-portrait", stirred=True).embedder
    large = F.interpolate(references.images.flatten(0, 1), scale_factor=2, mode="nearest").unflatten(0, (BATCH, COUNT))
    points = references.points * 2
    points[..., :2] += 0.5
    with torch.no_grad():
        assert torch.allclose(embedder(large, points), embedder(references.images, references.points), rtol=1e-3)


def test_the_discriminator_scores_each_picture_and_learns(references: References, target: torch.Tensor) -> None:
    discriminator = build("tiny-portrait").new_discriminator(5)
    judged = discriminator(references.images[:, 0], target, torch.tensor([4, 0]))
    assert judged.scores.shape == (BATCH,) and len(judged.features) == 7
    judged.scores.sum().backward()
    rows = discriminator.people.grad.abs().sum(1)
    assert (rows > 0).tolist() == [True, False, False, False, True]


def test_a_personal_discriminator_starts_from_the_embedding(references: References, target: torch.Tensor) -> None:
    discriminator = build("tiny-portrait").new_discriminator(5).eval()
    embedding = torch.randn(16)
    with torch.no_grad():
        discriminator.people[3] = embedding
        before = discriminator(references.images[:, 0], target, torch.tensor([3, 3])).scores
        discriminator.become_personal(embedding)
        after = discriminator(references.images[:, 0], target, torch.tensor([0, 0])).scores
    assert torch.allclose(before, after, atol=1e-5)


def test_untrained_it_draws_the_prior_alone(references: References, target: torch.Tensor) -> None:
    one = references.only(0)
    with torch.no_grad():
        output: TrainingOutput = new("tiny-portrait")(one, target)
    assert torch.equal(output.image, output.warped)
    prior = flow_pixels(fit_motion(one.points, target, SIDE), SIDE)
    assert (output.flow - prior).abs().max() < 1e-4
    grid = (output.flow[:, 0] * 2 + 1) / SIDE - 1
    expected = nn.functional.grid_sample(one.images[:, 0], grid, padding_mode="border", align_corners=False)
    assert (output.image - expected).abs().max() < 1e-5
    assert (output.matte - sampled(one.mattes[:, 0], output.flow[:, 0])).abs().max() < 2e-3
    assert output.mask.max() == 0


def test_a_draft_is_drawn_as_it_came_while_nothing_is_learnt(references: References, target: torch.Tensor) -> None:
    draft = torch.rand(len(target), 4, SIDE, SIDE)
    networks = new("tiny-portrait")
    with torch.no_grad():
        one = replace(references.only(0), draft=draft)
        assert (networks(one, target).image - draft[:, :3]).abs().max() < 1e-5
        several = networks(replace(references, draft=draft), target)
        assert (several.merge[:, 0] < 0.999).any(), "the further references have their say"
        style = networks.generator.style(networks.embedder(references.images, references.points))
        later = networks.generator.draw(networks.generator.encode(references), target, style, draft)
    assert torch.allclose(several.image, later.image, atol=1e-5)


def test_the_reference_itself_comes_back(references: References) -> None:
    one = references.only(0)
    with torch.no_grad():
        output = new("tiny-portrait")(one, one.points[:, 0])
    assert (output.image - one.images[:, 0]).abs().max() < 1e-3


def test_the_order_of_the_references_does_not_matter(references: References, target: torch.Tensor) -> None:
    networks = new("tiny-portrait", stirred=True)
    order = [2, 0, 1]
    shuffled = References(references.images[:, order], references.points[:, order], references.mattes[:, order])
    with torch.no_grad():
        first, second = networks(references, target), networks(shuffled, target)
    assert (first.image - second.image).abs().max() < 1e-3
    assert (first.matte - second.matte).abs().max() < 1e-3
    assert torch.allclose(first.merge.sum(1), torch.ones(BATCH, 1, SIDE, SIDE), atol=1e-5)


def test_an_open_mouth_is_taken_from_the_reference_that_shows_one(references: References, small: np.ndarray) -> None:
    mouth_open = torch.from_numpy(np.stack([speaking(small, 0.1)] * BATCH))
    with torch.no_grad():
        merge = new("tiny-portrait")(references, mouth_open).merge
    x, y = small[66, :2].round().astype(int)
    assert (merge[:, 2, 0, y, x] > 0.7).all()


def test_an_open_eye_is_not_taken_from_a_closed_one(face: np.ndarray) -> None:
    points = torch.from_numpy(np.stack([blinking(face, sides=("right",)), turned(face, yaw=4), face + 2]))[None]
    with torch.no_grad():
        networks = build("tiny-portrait", side=256)
        references = References(torch.rand(1, 3, 3, 256, 256), points, torch.full((1, 3, 1, 256, 256), 0.5))
        merge = networks(references, torch.from_numpy(face)[None]).merge
    x, y = face[68, :2].round().astype(int)
    assert merge[0, 0, 0, y, x] < 0.1


def test_the_style_reaches_the_picture(references: References, target: torch.Tensor) -> None:
    for name in TINY:
        networks = new(name, stirred=True)
        style = networks.generator.style(networks.embedder(references.images, references.points))
        with torch.no_grad():
            change = (
                networks.generator(references, target, style + 1).image
                - networks.generator(references, target, style).image
            )
        assert change.abs().max() > 1e-3, name


@pytest.mark.parametrize("count", [1, 2])
def test_normalised_each_channel_has_the_given_mean_and_spread(count: int) -> None:
    x = torch.randn(count, 3, 8, 12, generator=torch.Generator().manual_seed(3)) * 5 + 20
    scale, shift = torch.tensor([1.0, 0.5, 2.0]).view(1, 3, 1, 1), torch.tensor([0.0, -3.0, 7.0]).view(1, 3, 1, 1)
    variance, mean = torch.var_mean(normalized(x, scale, shift), dim=(2, 3), correction=0)
    assert torch.allclose(mean, shift[..., 0, 0].expand(count, -1), atol=1e-4)
    assert torch.allclose(variance.sqrt(), scale[..., 0, 0].expand(count, -1), atol=1e-4)


@pytest.mark.parametrize("count", [1, COUNT])
def test_drawn_from_prepared_features_a_picture_is_the_same(
    references: References, target: torch.Tensor, count: int
) -> None:
    generator = new("tiny-portrait", stirred=True).generator
    draft = torch.rand(BATCH, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    some = References(*(part[:, :count] for part in (references.images, references.points, references.mattes)))
    style = generator.style(torch.ones(BATCH, 16))
    with torch.inference_mode():
        drawn = generator.draw(generator.encode(some), target, style, draft)
    # Trained after it has drawn: what is kept of a size serves both.
    trained = generator(replace(some, draft=draft), target, style)
    trained.image.sum().backward()
    for name in ("image", "warped", "flow", "merge"):
        assert torch.allclose(getattr(drawn, name), getattr(trained, name), atol=1e-4), name


def test_unknown_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match="portrait"):
        build("stylegan")


def test_nothing_reads_a_pickle() -> None:
    folder = Path(__import__("portrait_server").__file__).parent
    found = [p.name for p in folder.rglob("*.py") if "torch.load(" in p.read_text("utf-8")]
    assert not found


def test_away_from_eyes_and_mouth_paint_is_coarse(references: References, target: torch.Tensor) -> None:
    networks = new("tiny-portrait", stirred=True)
    with torch.no_grad():
        nn.init.normal_(networks.generator.refinement.end.weight)
        embedding = networks.embedder(references.images, references.points)
        output = networks.generator(references, target, networks.generator.style(embedding))
    painted = output.image - output.warped
    fine = (painted - F.avg_pool2d(painted, 5, 1, 2, count_include_pad=False)).abs().mean(1)
    mouth = target[:, 48:68, :2].mean(1).round().long()
    for number, (x, y) in enumerate(mouth.tolist()):
        assert fine[number, y, x - 2 : x + 3].mean() > 3 * fine[number, 2:8, 2:8].mean()


def drawn_over_a_draft(references: References, target: torch.Tensor) -> tuple[TrainingOutput, torch.Tensor]:
    """Of one reference and a draft, by networks that change whatever they may; and the draft's matte."""
    networks = new("tiny-portrait", stirred=True)
    axis = torch.linspace(-1, 1, SIDE)
    person = torch.sigmoid(40 * (0.3 - axis[:, None] ** 2 - axis**2)).expand(BATCH, 1, SIDE, SIDE)
    draft = torch.cat([references.images[:, 0], person], 1)
    alone = References(references.images[:, :1], references.points[:, :1], person[:, None], draft)
    with torch.no_grad():
        for end in (networks.generator.refinement.end, networks.generator.motion.end):
            nn.init.normal_(end.weight)
        return networks(alone, target), person


def test_shoulders_and_corners_are_left_to_the_draft(references: References, target: torch.Tensor) -> None:
    output, _ = drawn_over_a_draft(references, target)
    shift = output.flow[:, 0] - torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy"), -1)
    painted = (output.image - output.warped).abs().mean(1)
    corners, middle = (np.s_[:, -8:, :8], np.s_[:, -8:, -8:], np.s_[:, :4, :4]), np.s_[:, 24:40, 24:40]
    for corner in corners:
        assert shift[corner].abs().max() < 1e-4 and painted[corner].max() < 1e-3
    assert shift[middle].abs().mean() > 0.1 and painted[middle].mean() > 0.02


def test_a_matte_changes_at_its_rim_alone(references: References, target: torch.Tensor) -> None:
    output, matte = drawn_over_a_draft(references, target)
    change = (output.matte - sampled(matte, output.flow[:, 0]))[:, 0].abs()
    assert change[:, 28:36, 28:36].max() < 0.002, "no hole in the middle of a face"
    assert change.max() > 0.05, "but the rim may move"
