# SPDX-License-Identifier: GPL-3.0-or-later
"""The content loss with networks of one channel, whose features can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from portrait_server.training.perceptual import ContentLoss
from portrait_shared.errors import ErrorCode, PortraitError
from safetensors.torch import load_file, save_file

LAYERS = {"vgg19": (2, 2, 4, 4, 1), "vggface": (2, 2, 3, 3, 1)}


def thin_network(network: str, path: Path, channel: int = 0) -> Path:
    """Every layer hands its one channel on unchanged; the first one picks `channel` of the picture."""
    arrays = {}
    for block, count in enumerate(LAYERS[network], start=1):
        for number in range(1, count + 1):
            first = block == number == 1
            weight = torch.zeros(1, 3 if first else 1, 3, 3)
            weight[0, channel if first else 0, 1, 1] = 1
            arrays[f"conv{block}_{number}.weight"], arrays[f"conv{block}_{number}.bias"] = weight, torch.zeros(1)
    save_file(arrays, path)
    return path


def test_vgg19_sees_normalised_rgb_in_five_layers(tmp_path: Path) -> None:
    loss = ContentLoss("vgg19", thin_network("vgg19", tmp_path / "w.safetensors"))
    # red 0.8 and 0.5: (0.8 − 0.5) / 0.229 in each of five layers
    value = loss(torch.full((1, 3, 16, 16), 0.8), torch.full((1, 3, 16, 16), 0.5))
    assert value.item() == pytest.approx(5 * 0.3 / 0.229, rel=1e-4)


def test_vggface_sees_bgr_to_255(tmp_path: Path) -> None:
    loss = ContentLoss("vggface", thin_network("vggface", tmp_path / "w.safetensors", channel=2))
    image, target = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    image[:, 0], target[:, 0] = 1.0, 0.6  # the third channel of BGR is red; both above its mean of 129.2
    assert loss(image, target).item() == pytest.approx(5 * 0.4 * 255, rel=1e-4)


def test_only_the_made_picture_learns(tmp_path: Path) -> None:
    loss = ContentLoss("vgg19", thin_network("vgg19", tmp_path / "w.safetensors"))
    image = torch.full((1, 3, 16, 16), 0.8, requires_grad=True)
    target = torch.full((1, 3, 16, 16), 0.6, requires_grad=True)
    loss(image, target).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0 and target.grad is None


def test_missing_weights_say_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as raised:
        ContentLoss("vgg19", tmp_path / "none.safetensors")
    assert raised.value.code == ErrorCode.WEIGHTS_MISSING
    assert "docs/training.md" in raised.value.remedy and "[content]" in raised.value.remedy


def test_a_file_that_is_none_and_one_that_lacks_a_layer(tmp_path: Path) -> None:
    noise, partial = tmp_path / "noise.safetensors", tmp_path / "partial.safetensors"
    noise.write_bytes(b"no weights here")
    save_file({"conv1_1.weight": torch.zeros(1, 3, 3, 3), "conv1_1.bias": torch.zeros(1)}, partial)
    for path, named in ((noise, "noise.safetensors"), (partial, "conv1_2")):
        with pytest.raises(PortraitError, match=named) as raised:
            ContentLoss("vgg19", path)
        assert raised.value.code == ErrorCode.WEIGHTS_MISSING


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1_1.weight", (1, 4, 3, 3)),
        ("conv2_1.weight", (1, 1, 5, 5)),
        ("conv3_1.weight", (1, 2, 3, 3)),
        ("conv4_2.weight", (9,)),
        ("conv5_1.bias", (2,)),
    ],
)
def test_a_layer_of_another_shape_is_named(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    path = thin_network("vgg19", tmp_path / "w.safetensors")
    save_file({**load_file(path), name: torch.zeros(shape)}, path)
    with pytest.raises(PortraitError, match=name.split(".")[0]) as raised:
        ContentLoss("vgg19", path)
    assert raised.value.code == ErrorCode.WEIGHTS_MISSING and str(shape) in raised.value.message


@pytest.mark.parametrize("network", LAYERS)
def test_every_layer_goes_where_the_loss_goes(tmp_path: Path, network: str) -> None:
    """`meta` stands for a GPU: what is left behind on the CPU would be copied there at every step."""
    loss = ContentLoss(network, thin_network(network, tmp_path / "w.safetensors")).to("meta")
    held = [tensor for tensor in (*loss.buffers(), *loss.parameters()) if tensor.numel()]
    assert len(held) == 2 * sum(LAYERS[network]) + 2
    assert {tensor.device.type for tensor in held} == {"meta"}
    picture = torch.zeros(1, 3, 16, 16, device="meta")
    assert loss(picture, picture).device.type == "meta"
    assert not list(loss.parameters()), "the networks that judge do not learn"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_finds_the_same(tmp_path: Path) -> None:
    loss = ContentLoss("vgg19", thin_network("vgg19", tmp_path / "w.safetensors"))
    image, target = torch.rand(2, 1, 3, 32, 32)
    assert loss.to("cuda")(image.cuda(), target.cuda()).item() == pytest.approx(
        loss.to("cpu")(image, target).item(),
        rel=1e-2,  # a GPU may round what it multiplies to 10 bits
    )
