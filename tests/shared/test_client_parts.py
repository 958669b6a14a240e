# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client is made of and needs no server for: hashes, bounds, references, the connection file."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from portrait_shared.bounds import check_points
from portrait_shared.client.channel import Channel
from portrait_shared.digest import frame_digest, image_digest, portrait_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection, default_connection_file
from portrait_shared.protocol.references import ReferenceImage

KEY = "k" * 40


def test_digests_are_the_same_on_every_machine() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    row = np.arange(210, dtype=np.float32).reshape(70, 3)
    assert image_digest(image) == image_digest(np.asfortranarray(image))
    assert image_digest(image) == "b31c623ca9d98df52307d7bbcdcfb2ffaacba74895b892f4b789f79493761d54"
    portrait = portrait_digest("warp", "1", [(image_digest(image), row)])
    assert portrait == "c2d7534de8768882bb94703119c8c8fcf4dc1bd042a04b86714f17b57d7dd7b3"
    assert (
        frame_digest(portrait, row, (640, 480), False)
        == "8c6dbde627b24b71f9480ac9da40e83ca3a3d2c382ca3b995a24039766792d8f"
    )


def test_a_digest_changes_with_all_that_the_pixels_depend_on() -> None:
    row = np.zeros((70, 3), np.float32)
    other = row.copy()
    other[69, 2] = 1e-6
    digests = [
        frame_digest("p", row, (64, 48), False),
        frame_digest("q", row, (64, 48), False),
        frame_digest("p", other, (64, 48), False),
        frame_digest("p", row[:, :2], (64, 48), False),
        frame_digest("p", row, (48, 64), False),
        frame_digest("p", row, (64, 48), True),
        frame_digest("p", row, (64, 48), False, np.float32([1, 0.5])),
        frame_digest("p", row, (64, 48), False, np.float32([0.5, 0])),
    ]
    assert len(set(digests)) == len(digests)
    assert frame_digest("p", row.astype(np.float64), (np.int64(64), 48), np.False_) == digests[0]
    assert frame_digest("p", row, (64, 48), False, np.array([1, 0])) == digests[0], "frames of before stay valid"
    portraits = [
        portrait_digest("warp", "1", [("i", row)]),
        portrait_digest("warp", "2", [("i", row)]),
        portrait_digest("other", "1", [("i", row)]),
        portrait_digest("warp", "1", [("j", row)]),
        portrait_digest("warp", "1", [("i", other)]),
        portrait_digest("warp", "1", [("i", row), ("i", row)]),
    ]
    assert len(set(portraits)) == len(portraits)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 401.0, -401.0])
def test_bad_points_are_named(bad: float) -> None:
    points = np.full((3, 70, 2), 50.0)
    check_points(points, [7, 8, 9], size=(100, 80))
    points[2, 30, 1] = bad
    with pytest.raises(PortraitError, match="Frame 9, point 30 \\(nose_bridge_31\\)") as caught:
        check_points(points, [7, 8, 9], size=(100, 80))
    assert caught.value.code == ErrorCode.BAD_POINTS


@pytest.mark.parametrize("shape", [(0, 70, 2), (3, 68, 2), (3, 70, 4), (70, 2), (2, 70, 2)])
def test_points_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PortraitError) as caught:
        check_points(np.zeros(shape), [1, 2, 3], size=(100, 80))
    assert caught.value.code == ErrorCode.BAD_POINTS


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (np.zeros((4, 4), np.uint8), ErrorCode.BAD_IMAGE),
        (np.zeros((4, 4, 2), np.uint8), ErrorCode.BAD_IMAGE),
        (np.zeros((4, 4, 3), np.float32), ErrorCode.BAD_IMAGE),
        (np.zeros((0, 4, 3), np.uint8), ErrorCode.BAD_IMAGE),
        (np.broadcast_to(np.zeros(3, np.uint8), (8001, 8000, 3)), ErrorCode.IMAGE_TOO_LARGE),
        (np.broadcast_to(np.zeros(3, np.uint8), (20000, 2, 3)), ErrorCode.IMAGE_TOO_LARGE),
    ],
)
def test_bad_references_are_refused(image: np.ndarray, code: ErrorCode) -> None:
    with pytest.raises(PortraitError) as caught:
        ReferenceImage(image)
    assert caught.value.code == code


def test_reference_points_get_a_depth_and_are_checked() -> None:
    image = np.zeros((9, 7, 3), np.uint8)[:, ::-1]
    reference = ReferenceImage(image, np.ones((70, 2)))
    assert reference.size == (7, 9) and reference.image.flags.c_contiguous
    assert reference.points.shape == (70, 3) and (reference.points[:, 2] == 0).all()
    points = np.ones((70, 3))
    points[68, 0] = np.nan
    with pytest.raises(PortraitError, match="Point 68 \\(right_pupil\\)"):
        ReferenceImage(image, points)


def test_a_connection_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "connection.json"
    connection = Connection("tcp://127.0.0.1:5", 1, "0.1.0", 77, KEY, KEY, KEY, "/log")
    old_mask = os.umask(0)
    try:
        connection.save(file)
    finally:
        os.umask(old_mask)
    assert Connection.load(file) == connection and Connection.load(file).file == file
    assert KEY not in repr(connection).replace(f"'{KEY}'", "", 2)
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["connection.json"]


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"address": 5}', "[" * 100_000, '{"address": "ipc://x", "protocol": 1}',
        json.dumps({"address": "http://x", "protocol": 1, "version": "0", "pid": 1}),
        json.dumps({"address": "tcp://127.0.0.1:1", "protocol": 1, "version": "0", "pid": 1}),
        json.dumps({"address": "ipc://x", "protocol": "1", "version": "0", "pid": 1}),
        json.dumps({"address": "ipc://x", "protocol": 1, "version": "0", "pid": 1, "more": 2}),
        json.dumps({"address": "ipc://x", "protocol": 1, "version": "0", "pid": -1}),
        json.dumps({"address": "ipc://x", "protocol": 10**400, "version": "0", "pid": 1}),
    ],
)  # fmt: skip
def test_a_broken_connection_file_is_no_server(tmp_path: Path, content: str) -> None:
    file = tmp_path / "connection.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(PortraitError) as caught:
        Connection.load(file)
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file modes")
def test_a_connection_file_that_others_can_read_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    Connection("ipc://x", 1, "0", 1).save(file)
    link = tmp_path / "link.json"
    link.symlink_to(file)
    with pytest.raises(PortraitError):
        Connection.load(link)
    file.chmod(0o640)
    with pytest.raises(PortraitError) as caught:
        Connection.load(file)
    assert caught.value.code == ErrorCode.NOT_ALLOWED


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_folder_or_a_pipe_is_no_connection_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(PortraitError) as caught:
            Connection.load(path)
        assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE


def test_keys_that_are_none_reach_no_server() -> None:
    with pytest.raises(PortraitError) as caught:
        Channel(Connection("tcp://127.0.0.1:1", 1, "0", 1, " " * 40, " " * 40, " " * 40))
    assert caught.value.code == ErrorCode.SERVER_LOST


def test_the_default_connection_file_is_in_a_folder_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if sys.platform == "linux":
        assert default_connection_file() == tmp_path / "talking_portraits" / "connection.json"
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "not there"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_connection_file().parent.name == "talking_portraits"
