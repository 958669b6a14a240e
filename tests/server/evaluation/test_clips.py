# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips from disk: which frames are taken, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from portrait_server.evaluation.clips import Clip, find_clips, open_clip
from portrait_server.evaluation.reenactment import check_length, reference_numbers, scored_numbers
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from tests.server.video_files import write_video


def test_frames_in_the_order_of_their_numbers(clip: Clip, save_clip: Callable[..., Path]) -> None:
    longer = Clip("a", [*clip.frames, *clip.frames], np.concatenate([clip.points] * 2))
    loaded = open_clip(save_clip(longer), 48).load()
    assert loaded.name == "astronaut"
    np.testing.assert_array_equal(np.stack(loaded.frames), np.stack(longer.frames))
    np.testing.assert_array_equal(loaded.points, longer.points)


def test_frames_without_a_face_are_left_out(clip: Clip, save_clip: Callable[..., Path]) -> None:
    seen = np.arange(len(clip)) % 3 != 0
    loaded = open_clip(save_clip(clip, extra={"detected": seen}), 4).load()
    assert [next(i for i, frame in enumerate(clip.frames) if np.array_equal(frame, kept)) for kept in loaded.frames] == [1, 2, 5, 7]  # fmt: skip
    np.testing.assert_array_equal(loaded.points, clip.points[[1, 2, 5, 7]])


def test_a_video_is_looked_at_by_the_detector(clip: Clip, tmp_path: Path) -> None:
    path = write_video(tmp_path / "moving.mp4", clip.frames)
    assert find_clips(tmp_path) == [path]
    loaded = open_clip(path, 4).load()
    assert (loaded.name, len(loaded), loaded.size) == ("moving", 4, (256, 256))
    assert np.abs(np.float32(loaded.frames[3]) - clip.frames[6]).mean() < 4
    assert np.linalg.norm(loaded.points[3, 27:48, :2] - clip.points[6, 27:48, :2], axis=1).mean() < 8


def test_what_is_a_clip(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    folders = [save_clip(clip, name) for name in ("b", "a")]
    (tmp_path / "clips" / "notes.txt").write_text("about the clips")
    (tmp_path / "clips" / "empty").mkdir()
    assert find_clips(tmp_path / "clips") == sorted(folders)
    assert find_clips(folders[0]) == [folders[0]]


def test_counts_share_the_scored_frames() -> None:
    assert reference_numbers(48, 1) == [0]
    assert reference_numbers(48, 8) == [0, 6, 12, 18, 24, 30, 36, 42]
    assert scored_numbers(48, [1]) == list(range(1, 48))
    scored = scored_numbers(48, [1, 8, 32])
    assert len(scored) == 16
    assert not set(scored) & {number for count in (1, 8, 32) for number in reference_numbers(48, count)}


def test_references_must_leave_a_frame(clip: Clip) -> None:
    check_length(clip, [1, 8])
    for counts in ([9], [10], [1, 32]):
        with pytest.raises(PortraitError, match="9 usable frames"):
            check_length(clip, counts)


def refused(path: Path) -> PortraitError:
    with pytest.raises(PortraitError) as caught:
        for each in find_clips(path):
            open_clip(each, 48).load()
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value


def test_no_clips(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").code is ErrorCode.FILE_MISSING
    assert refused(tmp_path).code is ErrorCode.FILE_MISSING


def test_an_unreadable_track(clip: Clip, save_clip: Callable[..., Path]) -> None:
    folder = save_clip(clip)
    (folder / "track.npz").write_bytes((folder / "track.npz").read_bytes()[:1000])
    assert refused(folder).code is ErrorCode.BAD_TRACK


def test_a_damaged_frame(clip: Clip, save_clip: Callable[..., Path]) -> None:
    folder = save_clip(clip)
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:1000])
    assert refused(folder).code is ErrorCode.BAD_IMAGE


def test_frames_and_track_that_do_not_fit(clip: Clip, save_clip: Callable[..., Path]) -> None:
    folder = save_clip(clip)
    (folder / "3.png").unlink()
    assert "8 pictures" in refused(folder).message
    other = save_clip(clip, "other")
    LandmarkTrack(clip.points, (640, 480)).save(other / "track.npz")
    assert refused(other).code is ErrorCode.SIZE_MISMATCH


def test_one_frame_only(clip: Clip, save_clip: Callable[..., Path]) -> None:
    folder = save_clip(clip, extra={"detected": np.arange(len(clip)) == 4})
    with pytest.raises(PortraitError, match="at least two"):
        open_clip(folder, 48).load()


def test_landmarks_outside_the_picture(clip: Clip) -> None:
    points = clip.points.copy()
    points[4] += 1000
    with pytest.raises(PortraitError, match="frame 5"):
        Clip("away", clip.frames, points)
