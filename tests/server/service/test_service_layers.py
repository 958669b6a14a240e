# SPDX-License-Identifier: GPL-3.0-or-later
"""Layered frames on their way: what is asked for, what follows, which files are still valid."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from portrait_shared.client.client import Client
from portrait_shared.client.rendering import StoredFrame, store_frames
from portrait_shared.digest import followed_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_marks import read_mark
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import LAYERS, USUAL, channels_of, followed_rows
from portrait_shared.protocol.messages import Render
from portrait_shared.protocol.references import PortraitHandle

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
MOVING = ("depth", "forward")


def read(data: bytes | Path) -> dict[str, np.ndarray]:
    source = io.BytesIO(data) if isinstance(data, bytes) else str(data)
    return {name: channel.pixels for name, channel in OpenEXR.File(source, separate_channels=True).channels().items()}


def shared(stored: list[StoredFrame]) -> list[int]:
    """Numbers of the frames that were drawn."""
    return sorted(frame.number for frame in stored if frame.drawn)


def test_a_frame_is_followed_by_the_next_that_is_asked_for(client: Client, paint: Paint) -> None:
    portrait, points = paint(client)
    numbers = [7, 2, 30]
    rows = followed_rows(numbers, MOVING)
    assert rows.tolist() == [0, 1, 2, 2, 0, 2]
    chosen = points[[5, 1, 9]]
    frames = list(client.render(portrait, chosen[rows], numbers, encoding="exr", layers=MOVING))
    assert [frame.number for frame in frames] == numbers
    seen = [read(bytes(frame.data)) for frame in frames]
    assert [float(each["depth.Z"][0, 0]) for each in seen] == [15, 11, 19]
    assert [float(each["forward.u"][0, 0]) for each in seen] == [4, 4, 0]
    own = [client.frame_digest(portrait, row, layers=MOVING) for row in chosen]
    assert [frame.digest for frame in frames] == [followed_digest(own[a], own[b]) for a, b in rows.reshape(2, 3).T]


def test_the_order_in_which_layers_are_named_does_not_matter(client: Client, paint: Paint) -> None:
    portrait, points = paint(client)
    one, other = (
        next(client.render(portrait, points[:1], [1], encoding="exr", layers=layers))
        for layers in (("matte", "rgba"), ("rgba", "matte"))
    )
    assert one.digest == other.digest and one.data == other.data
    assert sorted(read(bytes(one.data))) == sorted(channels_of(("rgba", "matte")))


def test_a_change_is_drawn_again_with_the_frame_before_it(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client, count=8)
    numbers = range(1, 9)

    def store(layers: tuple[str, ...] = MOVING) -> list[int]:
        return shared(list(store_frames(client, portrait, points, numbers, tmp_path, layers=layers)))

    assert store() == list(numbers) and store() == []
    points[4, 0, 0] += 60
    assert store() == [4, 5]
    assert float(read(tmp_path / "0004.exr")["forward.u"][0, 0]) == 61
    assert store(("depth",)) == list(numbers)
    points[4, 0, 0] -= 30
    assert store(("depth",)) == [5]


def test_colours_in_another_space_are_another_frame(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client, count=3)
    for colorspace in ("rec709", "acescg"):
        told = {"layers": ("rgba",), "colorspace": colorspace}
        assert shared(list(store_frames(client, portrait, points, range(3), tmp_path, **told))) == [0, 1, 2]
        assert shared(list(store_frames(client, portrait, points, range(3), tmp_path, **told))) == []


def test_pictures_and_layers_lie_side_by_side(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client, count=2)
    for layers in ((), USUAL, (), USUAL):
        list(store_frames(client, portrait, points, range(2), tmp_path, layers=layers))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000.exr", "0000.png", "0001.exr", "0001.png"]
    marks = [read_mark(tmp_path / name) for name in ("0000.exr", "0000.png")]
    assert all(mark is not None and mark.photo == portrait.references[0].digest for mark in marks)


def test_frames_that_are_alike_have_their_own_time_codes(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client, count=4)
    points[:] = points[0]
    times = FrameTimes(30000 / 1001, "00:00:59;28", first=1)
    stored = list(store_frames(client, portrait, points[:2], [1, 2], tmp_path, layers=("matte",), times=times)) + list(
        store_frames(client, portrait, points, [1, 2, 3, 4], tmp_path, layers=("matte",), times=times)
    )
    assert shared(stored) == [1, 2]
    codes = [OpenEXR.File(str(tmp_path / f"000{n}.exr"), header_only=True).header()["timeCode"] for n in (1, 2, 3, 4)]
    assert [(code.minutes, code.seconds, code.frame) for code in codes] == [
        (0, 59, 28), (0, 59, 29), (1, 0, 2), (1, 0, 3),
    ]  # fmt: skip


def test_a_render_that_is_taken_up_again_knows_what_followed(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client, count=6)
    list(store_frames(client, portrait, points, range(6), tmp_path, layers=MOVING))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "0002.exr").unlink()
    (tmp_path / "0004.exr").write_bytes(before["0004.exr"][:-1])
    assert shared(list(store_frames(client, portrait, points, range(6), tmp_path, layers=MOVING))) == [2, 4]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def message(**changes: object) -> Render:
    told: dict[str, object] = {
        "request": 1, "portrait": "a" * 64, "size": (8, 8), "matte": False, "encoding": "exr", "window": 4,
        "numbers": np.arange(2, dtype="<i4"), "points": np.ones((2, 70, 3), "<f4"), "layers": ("rgba",),
    }  # fmt: skip
    return Render(**{**told, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ()}, {"encoding": "png"}, {"encoding": "raw"}, {"layers": ("matte", "rgba")}, {"layers": ("albedo",)},
        {"layers": ("rgba", "rgba")}, {"layers": ("forward",)}, {"colorspace": "srgb"},
        {"points": np.ones((4, 70, 3), "<f4")}, {"layers": ("vector",), "body": np.ones((4, 2), "<f4")},
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(changes: dict[str, object]) -> None:
    assert message().layers == ("rgba",)
    with pytest.raises(PortraitError) as caught:
        message(**changes)
    assert caught.value.code == ErrorCode.BAD_MESSAGE


def test_layers_that_do_not_fit_into_one_part_are_refused(client: Client, paint: Paint) -> None:
    portrait, points = paint(client)
    with pytest.raises(PortraitError, match="too large for the layers rgba, matte"):
        list(client.render(portrait, points[:1], [1], size=(6000, 5000), encoding="exr", layers=("rgba", "matte")))


def test_an_engine_without_layers_says_so(client: Client, paint: Paint) -> None:
    portrait, points = paint(client, engine="failing")
    with pytest.raises(PortraitError) as caught:
        list(client.render(portrait, points[:1], [1], encoding="exr", layers=LAYERS[:1]))
    assert caught.value.code == ErrorCode.BAD_MESSAGE and "draws no layers" in caught.value.message
