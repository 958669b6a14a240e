# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: what is written is read, and whatever else lies there is refused in words."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from portrait_server.engines.base import Engine
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.loaded_engines import LoadedEngines
from portrait_server.engines.registry import ENGINES, create_engine
from portrait_server.networks import weights_file
from portrait_server.networks.configurations import Networks, build
from portrait_shared.errors import ErrorCode, PortraitError
from safetensors.torch import save_file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for name in ("tiny-portrait", "tiny-zakharov2019"):
        networks = build(name)
        path = tmp_path / f"{name}.safetensors"
        written = weights_file.save(path, networks, step=12, licence="CC0-1.0")
        loaded, info = weights_file.load(path)
        assert info == written
        assert (info.step, info.licence, info.configuration) == (12, "CC0-1.0", networks.configuration)
        state = networks.state_dict()
        assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
        assert not loaded.training


def test_half_as_large_and_hardly_other(tmp_path: Path) -> None:
    networks = build("tiny-portrait")
    weights_file.save(tmp_path / "whole.safetensors", networks, step=1, licence="CC0-1.0")
    weights_file.save(tmp_path / "half.safetensors", networks, step=1, licence="CC0-1.0", half=True)
    whole, half = ((tmp_path / name).stat().st_size for name in ("whole.safetensors", "half.safetensors"))
    assert half < 0.6 * whole
    read, _ = weights_file.load(tmp_path / "half.safetensors")
    for name, tensor in networks.state_dict().items():
        assert read.state_dict()[name].dtype == torch.float32
        assert torch.allclose(read.state_dict()[name], tensor, rtol=1e-3, atol=1e-6), name


def test_the_checksum_tells_weights_apart(tmp_path: Path) -> None:
    networks = build("tiny-portrait")
    first = weights_file.save(tmp_path / "a", networks, step=1, licence="CC0-1.0")
    with torch.no_grad():
        networks.generator.nearness += 1
    second = weights_file.save(tmp_path / "b", networks, step=1, licence="CC0-1.0")
    assert first.checksum != second.checksum


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5000] ^= 0x40
    path.write_bytes(data)


def garbage(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n" * 500)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": list(range(100))}))


def foreign(path: Path) -> None:
    save_file({"weight": torch.ones(3)}, path, {"format": "pt"})


def with_header(change: Callable[[dict[str, str]], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header["__metadata__"])
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return spoil


def newer(metadata: dict[str, str]) -> None:
    metadata["version"] = "2"


def another_width(metadata: dict[str, str]) -> None:
    metadata["configuration"] = json.dumps(json.loads(metadata["configuration"]) | {"width": 16})


def enormous(metadata: dict[str, str]) -> None:
    metadata["configuration"] = json.dumps(json.loads(metadata["configuration"]) | {"width": 10**9})


def wrong_kind(metadata: dict[str, str]) -> None:
    metadata["configuration"] = json.dumps(json.loads(metadata["configuration"]) | {"side": "64"})


def no_step(metadata: dict[str, str]) -> None:
    del metadata["step"]


def as_configuration(text: str) -> Callable[[dict[str, str]], None]:
    def change(metadata: dict[str, str]) -> None:
        metadata["configuration"] = text

    return change


def without_embedder_side(metadata: dict[str, str]) -> None:
    metadata["configuration"] = json.dumps(json.loads(metadata["configuration"]) | {"embedder_side": 1, "width": 4095})


def of_another_kind(kind: torch.dtype) -> Callable[[Path], None]:
    """A small file that says that it is ours, of numbers that NumPy does not know or that are not ours."""

    def spoil(path: Path) -> None:
        _, info = weights_file.load(path)
        save_file({"weight": torch.ones(3).to(kind)}, path, {
            "format": weights_file.FORMAT, "version": "1", "step": "1", "licence": "CC0-1.0", "checksum": info.checksum,
            "configuration": json.dumps(info.configuration.to_json()),
        })  # fmt: skip

    return spoil


def with_a_tensor(entry: dict[str, object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        header["huge"] = entry
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return spoil


def with_a_tensor_of_nothing(path: Path) -> None:
    end = max(path.stat().st_size - 8 - int.from_bytes(path.read_bytes()[:8], "little"), 0)
    with_a_tensor({"dtype": "F32", "shape": [0, 2**61], "data_offsets": [end, end]})(path)


def with_sides(side: int, embedder_side: int) -> Callable[[dict[str, str]], None]:
    def change(metadata: dict[str, str]) -> None:
        sides = {"side": side, "embedder_side": embedder_side}
        metadata["configuration"] = json.dumps(json.loads(metadata["configuration"]) | sides)

    return change


def nested(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000)


def not_finite(path: Path) -> None:
    networks: Networks = build("tiny-portrait")
    with torch.no_grad():
        networks.generator.nearness.fill_(float("nan"))
    weights_file.save(path, networks, step=1, licence="CC0-1.0")


def test_files_of_before_the_embedder_had_a_side_are_read(tmp_path: Path) -> None:
    def older(metadata: dict[str, str]) -> None:
        values = json.loads(metadata["configuration"])
        del values["embedder_side"]
        metadata["configuration"] = json.dumps(values)

    path = tmp_path / "weights.safetensors"
    weights_file.save(path, build("tiny-portrait"), step=1, licence="CC0-1.0")
    with_header(older)(path)
    assert weights_file.load(path)[1].configuration.embedder_side == 64


@pytest.mark.parametrize(
    "spoil",
    [truncated, emptied, flipped, garbage, pickled, foreign, not_finite, nested,
     *(pytest.param(of_another_kind(kind), id=str(kind)) for kind in (torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.float8_e4m3fn)),
     *(pytest.param(with_header(as_configuration(text)), id=text[:9]) for text in ("[]", "[1, 2]", "null", "7", '"portrait"', "[" * 50_000, "{" * 9, '{"side": 1' + "0" * 5000 + "}")),
     *(pytest.param(with_a_tensor(entry), id=f"entry-{number}") for number, entry in enumerate((
         {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**40]}, {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
         {"dtype": "F32", "shape": [10**30], "data_offsets": [0, 0]}, {"dtype": [], "shape": [], "data_offsets": []}, {}))),
     pytest.param(with_a_tensor_of_nothing, id="nothing-of-2**61"),
     *(pytest.param(with_header(with_sides(*sides)), id=f"sides-{sides}") for sides in ((1, 1), (16, 64), (72, 64), (64, 1), (64, 80))),
     pytest.param(with_header(without_embedder_side), id="widths"),
     *(pytest.param(with_header(change), id=change.__name__) for change in (newer, another_width, enormous, wrong_kind, no_step))],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "weights.safetensors"
    weights_file.save(path, build("tiny-portrait"), step=1, licence="CC0-1.0")
    spoil(path)
    with pytest.raises(PortraitError) as caught:
        FewshotEngine("cpu", path)
    assert caught.value.code is ErrorCode.BAD_WEIGHTS
    assert str(path) in caught.value.message and caught.value.remedy
    assert len(str(caught.value)) < 700


def test_missing_weights_are_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none.safetensors"))
    with pytest.raises(PortraitError) as caught:
        create_engine("fewshot", "cpu")
    assert caught.value.code is ErrorCode.WEIGHTS_MISSING
    assert "warp" in caught.value.remedy and "portrait train" in caught.value.remedy


def test_the_environment_names_the_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    assert find_weights() == weights
    assert create_engine("fewshot", "cpu").name == "fewshot"


def test_the_other_configurations_weights_are_refused(tmp_path: Path) -> None:
    weights_file.save(tmp_path / "w", build("tiny-zakharov2019"), step=1, licence="CC0-1.0")
    with pytest.raises(PortraitError) as caught:
        FewshotEngine("cpu", tmp_path / "w")
    assert caught.value.code is ErrorCode.BAD_WEIGHTS


def test_damaged_weights_leave_the_other_engine_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    weights_file.save(path, build("tiny-portrait"), step=1, licence="CC0-1.0")
    of_another_kind(torch.bfloat16)(path)
    assert path.stat().st_size < 1000
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(path))
    engines = LoadedEngines("cpu")
    assert set(engines.fingerprints) == {"warp"} and engines.get("warp").name == "warp"
    with pytest.raises(PortraitError) as caught:
        engines.get("fewshot")
    assert caught.value.code is ErrorCode.BAD_WEIGHTS


def test_whatever_an_engine_raises_the_others_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str, layers: LayerMemory) -> Engine:
        raise ZeroDivisionError(device)

    monkeypatch.setitem(ENGINES, "fewshot", broken)
    engines = LoadedEngines("cpu")
    assert set(engines.fingerprints) == {"warp"}
    with pytest.raises(PortraitError, match="ZeroDivisionError"):
        engines.get("fewshot")
