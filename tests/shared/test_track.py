# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmark tracks: what is valid goes through the file unchanged, what is not is refused by name."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from tests.paths import real_clips


def some_points(frames: int = 3, dimensions: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 200, (frames, 70, dimensions)).astype(np.float32)


def write(path: Path, **arrays: Any) -> Path:
    fields = {"points": some_points(), "size": np.array([320, 240], np.int32), "fps": 25.0, "start": 1}
    fields |= arrays
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def refused(path: Path, code: ErrorCode = ErrorCode.BAD_TRACK) -> str:
    with pytest.raises(PortraitError) as caught:
        LandmarkTrack.load(path)
    assert caught.value.code is code
    assert str(path) in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("dimensions", [2, 3])
def test_round_trip(tmp_path: Path, dimensions: int) -> None:
    extra = {"detected": np.array([True, False, True]), "mesh478": np.zeros((3, 478, 3), np.float32)}
    track = LandmarkTrack(some_points(dimensions=dimensions), (320, 240), 23.976, 101, extra)
    track.save(tmp_path / "track.npz")
    again = LandmarkTrack.load(tmp_path / "track.npz")
    np.testing.assert_array_equal(again.points, track.points)
    assert again.points.dtype == np.float32
    assert (again.size, again.fps, again.start) == ((320, 240), 23.976, 101)
    assert set(again.extra) == {"detected", "mesh478"}
    for name, array in extra.items():
        np.testing.assert_array_equal(again.extra[name], array)
        assert again.extra[name].dtype == array.dtype


def test_file_has_the_fixed_format(tmp_path: Path) -> None:
    LandmarkTrack(some_points(), (320, 240), 24, 7).save(tmp_path / "track.npz")
    with np.load(tmp_path / "track.npz", allow_pickle=False) as file:
        assert file["points"].dtype == np.float32
        assert file["size"].dtype == np.int32
        assert file["size"].tolist() == [320, 240]
        assert file["fps"].dtype.kind == "f"
        assert file["fps"].item() == 24.0
        assert file["start"].dtype.kind == "i"
        assert file["start"].item() == 7


def test_the_real_clips_load() -> None:
    clips = real_clips()
    if clips is None:
        pytest.skip("the real clips are not beside the repository")
    for path in sorted(clips.glob("*/track.npz")):
        track = LandmarkTrack.load(path)
        assert track.points.shape == (48, 70, 3)
        assert track.size == (256, 256)
        assert "mesh478" in track.extra


def test_fps_and_start_may_be_left_out(tmp_path: Path) -> None:
    track = LandmarkTrack.load(write(tmp_path / "track.npz", fps=None, start=None))
    assert (track.fps, track.start) == (25.0, 1)


def test_doubles_and_whole_numbers_become_float32(tmp_path: Path) -> None:
    for kind in (np.float64, np.int32, np.uint16, np.float16):
        track = LandmarkTrack.load(write(tmp_path / "track.npz", points=some_points().astype(kind)))
        assert track.points.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_frame_and_point_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    points = some_points(5)
    points[3, 30, 1] = value
    message = refused(write(tmp_path / "track.npz", points=points, start=100))
    assert "Frame 103, point 30 (nose_bridge_31)" in message


def test_numbers_too_large_for_float32_are_named(tmp_path: Path) -> None:
    points = some_points().astype(np.float64)
    points[1, 2, 0] = 1e300
    assert "Frame 2, point 2 (jaw_03)" in refused(write(tmp_path / "track.npz", points=points))


@pytest.mark.parametrize(
    "shape", [(0, 70, 3), (3, 68, 3), (3, 70, 4), (3, 70, 1), (70, 3), (3, 70), (), (2, 3, 70, 3), (3, 478, 3)]
)
def test_wrong_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    message = refused(write(tmp_path / "track.npz", points=np.zeros(shape, np.float32)))
    assert ("no frames" if shape == (0, 70, 3) else str(shape)) in message


@pytest.mark.parametrize("kind", ["U4", "S4", bool, complex, "M8[s]"])
def test_points_that_are_no_numbers(tmp_path: Path, kind: Any) -> None:
    refused(write(tmp_path / "track.npz", points=np.zeros((2, 70, 3), kind)))


@pytest.mark.parametrize(
    "size",
    [
        [0, 10],
        [10, -1],
        [10],
        [1, 2, 3],
        [[1, 2]],
        10,
        [10.0, 10.0],
        ["10", "10"],
        [16385, 10],
        [2**40, 10],
        [True, True],
    ],
)
def test_bad_sizes(tmp_path: Path, size: Any) -> None:
    assert "size" in refused(write(tmp_path / "track.npz", size=np.array(size)))


@pytest.mark.parametrize("fps", [0, -25, np.nan, np.inf, "25", [25, 25], [], 1j])
def test_bad_fps(tmp_path: Path, fps: Any) -> None:
    assert "fps" in refused(write(tmp_path / "track.npz", fps=np.array(fps)))


def test_an_extended_fps_that_no_double_holds(tmp_path: Path) -> None:
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:  # elsewhere the two are one
        assert "fps" in refused(write(tmp_path / "track.npz", fps=np.finfo(np.longdouble).max))


@pytest.mark.parametrize("start", [np.nan, "1", [1, 2], 1.5, 1e30])
def test_bad_start(tmp_path: Path, start: Any) -> None:
    assert "start" in refused(write(tmp_path / "track.npz", start=np.array(start)))


@pytest.mark.parametrize("start", [0, -10, 1001])
def test_unusual_starts_are_valid(tmp_path: Path, start: int) -> None:
    track = LandmarkTrack.load(write(tmp_path / "track.npz", start=start))
    assert list(track.frame_numbers) == [start, start + 1, start + 2]


@pytest.mark.parametrize("name", ["points", "size"])
def test_missing_fields_are_named(tmp_path: Path, name: str) -> None:
    assert f"`{name}`" in refused(write(tmp_path / "track.npz", **{name: None}))


def test_pickled_content_is_refused(tmp_path: Path) -> None:
    """Unpickling would run a stranger's code."""
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(ran),)

    for name in ("points", "size", "fps", "other"):
        refused(write(tmp_path / "track.npz", **{name: np.array([Bomb(), None], object)}))
        assert not ran.exists()


def test_what_is_no_track(tmp_path: Path) -> None:
    path = tmp_path / "track.npz"
    single = io.BytesIO()
    np.save(single, some_points())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("points.npy", b"not an array")
    text_member = io.BytesIO()
    with zipfile.ZipFile(text_member, "w") as file:
        file.writestr("points", b"plain text")
    locked = bytearray(write(path).read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # each member said to be encrypted
        at = -1
        while (at := locked.find(mark, at + 1)) >= 0:
            locked[at + flags] |= 1
    for content in (
        bytes(locked),
        b"",
        b"hello",
        b"PK\3\4",
        single.getvalue(),
        archive.getvalue(),
        text_member.getvalue(),
    ):
        path.write_bytes(content)
        refused(path)
    refused(tmp_path / "absent.npz", ErrorCode.FILE_MISSING)
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(folder, ErrorCode.FILE_MISSING)


def test_truncated_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "track.npz"
    LandmarkTrack(some_points(), (320, 240)).save(path)
    whole = path.read_bytes()
    for length in np.linspace(1, len(whole) - 1, 40, dtype=int):
        path.write_bytes(whole[:length])
        refused(path)
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[generator.integers(0, len(damaged), 4)] = generator.integers(0, 255, 4)
        path.write_bytes(damaged.tobytes())
        try:
            LandmarkTrack.load(path)
        except PortraitError as error:
            assert error.code is ErrorCode.BAD_TRACK


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    """An array of terabytes in a file of a few bytes."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 70, 3), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    path = tmp_path / "track.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("points.npy", member)
    refused(path)


def test_rows_of_frames() -> None:
    track = LandmarkTrack(some_points(4), (320, 240), start=10)
    np.testing.assert_array_equal(track.rows_of([13, 10, 10]), track.points[[3, 0, 0]])
    assert track.rows_of([]).shape == (0, 70, 3)
    for frame in (9, 14):
        with pytest.raises(PortraitError, match=f"frames 10 to 13; frame {frame} is not"):
            track.rows_of([10, frame])


def test_what_a_track_says_of_the_body(tmp_path: Path) -> None:
    body = np.array([[1, 0], [1, 0.5], [0, 1]])
    track = LandmarkTrack(some_points(3), (320, 240), start=10, body=body)
    track.save(tmp_path / "track.npz")
    again = LandmarkTrack.load(tmp_path / "track.npz")
    assert again.body is not None and again.body.dtype == np.float32 and "body" not in again.extra
    np.testing.assert_array_equal(again.body_of([12, 10]), body[[2, 0]])
    for bad, what in ((body[:2], r"\(3, 2\) numbers"), (body * [1, np.nan], "Frame 10: .* not finite")):
        arrays = {"points": some_points(3), "size": np.array([320, 240]), "start": 10, "body": bad}
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(PortraitError, match=what) as caught:
            LandmarkTrack.load(tmp_path / "bad.npz")
        assert caught.value.code is ErrorCode.BAD_TRACK and caught.value.remedy
    assert LandmarkTrack(some_points(3), (320, 240)).body_of([1]) is None


def test_validated_points_are_contiguous() -> None:
    reversed_points = some_points()[::-1, :, ::-1]
    valid = check_points(reversed_points)
    assert valid.flags.c_contiguous
    np.testing.assert_array_equal(valid, reversed_points)


def test_saving_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "track.npz"
    LandmarkTrack(some_points(), (320, 240)).save(path)
    LandmarkTrack(some_points(5), (64, 48)).save(path)
    assert len(LandmarkTrack.load(path)) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["track.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "track.npz"
    LandmarkTrack(some_points(), (320, 240)).save(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(PortraitError) as caught:
            LandmarkTrack(some_points(5), (320, 240)).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert len(LandmarkTrack.load(path)) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["track.npz"]


def test_folders_that_cannot_be_written_to(tmp_path: Path) -> None:
    a_file = tmp_path / "file"
    a_file.touch()
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    for path in (tmp_path / "absent" / "track.npz", a_file / "track.npz", folder):
        with pytest.raises(PortraitError) as caught:
            LandmarkTrack(some_points(), (320, 240)).save(path)
        assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
        assert str(path) in caught.value.message
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.npz"]


def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(PortraitError) as caught:
            LandmarkTrack(some_points(), (320, 240)).save(tmp_path / "track.npz")
        assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    finally:
        tmp_path.chmod(0o700)


def test_objects_as_extra_are_refused() -> None:
    """numpy would pickle them without a word."""
    with pytest.raises(PortraitError, match="notes"):
        LandmarkTrack(some_points(), (320, 240), extra={"notes": np.array([{"a": 1}], object)})


def test_extra_arrays_of_any_name_and_kind_are_kept(tmp_path: Path) -> None:
    extra = {
        "file": np.arange(3),
        "self": np.array("text"),
        "a/b c": np.zeros((0, 2), np.uint8),
        "structured": np.zeros(2, [("x", "<f4"), ("y", "<i2")]),
    }
    LandmarkTrack(some_points(), (320, 240), extra=extra).save(tmp_path / "a.npz")
    LandmarkTrack.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    again = LandmarkTrack.load(tmp_path / "b.npz")
    assert set(again.extra) == set(extra)
    for name, array in extra.items():
        np.testing.assert_array_equal(again.extra[name], array)


def test_fortran_order_is_read(tmp_path: Path) -> None:
    track = LandmarkTrack.load(write(tmp_path / "track.npz", points=np.asfortranarray(some_points())))
    np.testing.assert_array_equal(track.points, some_points())
