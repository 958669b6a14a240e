# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of painters: what is written is read, and whatever else lies there is refused in words."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from portrait_server.networks import painters
from portrait_server.networks.painter import Painter
from portrait_server.networks.painters import Painters
from portrait_shared.errors import ErrorCode, PortraitError
from safetensors.torch import save_file


def small() -> Painters:
    """Painters of two widths, whose numbers have 16 bits."""
    torch.manual_seed(3)
    both = Painters(Painter(6, 4), Painter(8, 4))
    for own in both.parameters():
        torch.nn.init.normal_(own.data, std=0.1)
    return both.half().float()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    painters.save(small(), tmp_path / "weights.safetensors", "made by chance")
    return tmp_path / "weights.safetensors"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    both = small()
    written = painters.save(both, tmp_path / "w", "made by chance", "CC0-1.0")
    loaded, info = painters.load(tmp_path / "w")
    assert info == written and (info.note, info.licence) == ("made by chance", "CC0-1.0")
    assert not loaded.training and (loaded.mouth.width, loaded.eye.width) == (6, 8)
    state = both.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())


def test_the_checksum_tells_weights_apart(tmp_path: Path) -> None:
    both = small()
    first = painters.save(both, tmp_path / "a", "")
    with torch.no_grad():
        both.eye.end.bias += 1
    assert painters.save(both, tmp_path / "b", "").checksum != first.checksum


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


def nested(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000)


def not_finite(path: Path) -> None:
    both = small()
    with torch.no_grad():
        both.mouth.end.bias.fill_(float("nan"))
    painters.save(both, path, "")


def with_header(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return spoil


def saying(**metadata: str) -> Callable[[Path], None]:
    return with_header(lambda header: header["__metadata__"].update(metadata))  # type: ignore[attr-defined]


def widths(width: object = 6, **more: object) -> str:
    return json.dumps({"mouth": {"width": width, "embedding": 4}, "eye": {"width": 8, "embedding": 4}} | more)


def without(name: str) -> Callable[[Path], None]:
    return with_header(lambda header: header["__metadata__"].pop(name))  # type: ignore[attr-defined]


def with_a_tensor(entry: object) -> Callable[[Path], None]:
    return with_header(lambda header: header.update(huge=entry))


def with_a_tensor_of_nothing(path: Path) -> None:
    end = path.stat().st_size - 8 - int.from_bytes(path.read_bytes()[:8], "little")
    with_a_tensor({"dtype": "F16", "shape": [0, 2**61], "data_offsets": [end, end]})(path)


def of_another_kind(kind: torch.dtype) -> Callable[[Path], None]:
    """A small file that says that it is ours, of numbers that NumPy does not know or that are not ours."""

    def spoil(path: Path) -> None:
        _, info = painters.load(path)
        save_file({"weight": torch.ones(3).to(kind)}, path, {
            "format": painters.FORMAT, "version": str(painters.FORMAT_VERSION), "note": "", "licence": "CC0-1.0",
            "checksum": info.checksum, "painters": widths(),
        })  # fmt: skip

    return spoil


OTHER_KINDS = (torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.bool, torch.float8_e4m3fn)
NO_WIDTHS = (
    "[]", "null", "7", '"mouth"', "[" * 50_000, "{" * 9, '{"mouth": 1' + "0" * 5000 + "}", widths(7), widths(10**9),
    widths(painters.WIDEST), widths("6"), widths(True), widths(0), widths(nose={"width": 6, "embedding": 4}),
    widths(eye={"width": 8}), widths(eye=8),
)  # fmt: skip
HUGE: tuple[object, ...] = (
    {"dtype": "F16", "shape": [2**40, 2**40], "data_offsets": [0, 2**40]}, {},
    {"dtype": "F16", "shape": [-1], "data_offsets": [0, 4]}, {"dtype": [], "shape": [], "data_offsets": []},
    {"dtype": "F16", "shape": [10**30], "data_offsets": [0, 0]},
)  # fmt: skip


@pytest.mark.parametrize(
    "spoil",
    [truncated, emptied, flipped, garbage, pickled, foreign, not_finite, nested, with_a_tensor_of_nothing,
     *(pytest.param(of_another_kind(kind), id=str(kind)) for kind in OTHER_KINDS),
     *(pytest.param(saying(painters=text), id=f"widths-{number}") for number, text in enumerate(NO_WIDTHS)),
     *(pytest.param(with_a_tensor(entry), id=f"entry-{number}") for number, entry in enumerate(HUGE)),
     *(pytest.param(without(name), id=f"without-{name}") for name in ("format", "version", "painters", "note", "checksum")),
     *(pytest.param(saying(version=version), id=f"version-{version}") for version in ("1", "3", ""))],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_words(path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(path)
    with pytest.raises(PortraitError) as caught:
        painters.load(path)
    assert caught.value.code is ErrorCode.BAD_WEIGHTS
    assert str(path) in caught.value.message and caught.value.remedy
    assert len(str(caught.value)) < 700


def test_a_missing_file_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as caught:
        painters.load(tmp_path / "none")
    assert caught.value.code is ErrorCode.WEIGHTS_MISSING
