# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify finds the files behind images, strips and portraits, and says what the `portrait` command found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_files import credentials_path, frame_path
from portrait_shared.frames.frame_marks import DIGEST_KEYWORD, SEAL_KEYWORD, pixel_seal, text_chunk

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.export import shown_files, verify_job  # noqa: E402
from blender_addon.export.verify_job import Outcome, Verified, VerifyJob  # noqa: E402
from blender_addon.interface.verified_lines import draw_verified  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.render.frame_folder import take  # noqa: E402
from tests.blender.conftest import write_png  # noqa: E402
from tests.blender.test_panels import CheckedLayout, drawn  # noqa: E402

SEALED_BEFORE = 33  # a PNG's signature and header


def write_frame(path: Path, level: int = 100) -> Path:
    """A frame of a filmed shot, with its seal."""
    write_png(path, np.full((16, 24, 3), level, np.uint8))
    data = path.read_bytes()
    words = text_chunk(DIGEST_KEYWORD, "a" * 64) + text_chunk(SEAL_KEYWORD, pixel_seal(data))
    path.write_bytes(data[:SEALED_BEFORE] + words + data[SEALED_BEFORE:])
    return path


@pytest.fixture(autouse=True)
def nothing_verified() -> Any:
    yield
    verify_job.forget()


def test_an_images_file_is_found(scene: Any, tmp_path: Path) -> None:
    one = write_frame(tmp_path / "0003.png")
    write_frame(tmp_path / "0004.png")
    image = bpy.data.images.load(str(one))
    user = bpy.data.textures.new("t", "IMAGE").image_user
    assert shown_files.of_image(image, user).files == (one,)
    image.source, user.frame_duration, user.frame_current = "SEQUENCE", 10, 4
    assert shown_files.of_image(image, user).files == (tmp_path / "0004.png",)
    image.source = "FILE"
    image.pack()
    shown = shown_files.of_image(image, user)
    assert shown.files == () and shown.packed == (("0003.png", one.read_bytes()),)
    with pytest.raises(PortraitError, match="is not a file yet"):
        shown_files.of_image(bpy.data.images.new("painted", 4, 4), user)


def test_strips_files_are_found(scene: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        write_frame(frame_path(tmp_path, number))
    strips = compat.strips_of(scene.sequence_editor_create())
    strip = strips.new_image("frames", str(tmp_path / "0001.png"), 1, 1)
    strip.elements.append("0002.png")
    assert shown_files.of_strips([strip]).files == (tmp_path / "0001.png", tmp_path / "0002.png")
    with pytest.raises(PortraitError, match="no pictures"):
        shown_files.of_strips([compat.new_effect(strips, "red", "COLOR", 2, 1, 5, None)])


def test_a_portraits_frames_are_found_with_the_list_that_names_them(portrait: Any, tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="was rendered yet"):
        shown_files.of_portrait(portrait)
    folder = take(portrait)
    frame = write_frame(frame_path(folder, 1, portrait.frame_prefix))
    assert shown_files.of_portrait(portrait).files == (frame,)
    signed = credentials_path(folder, portrait.frame_prefix)
    signed.write_bytes(b"list")
    assert shown_files.of_portrait(portrait).files == (signed, frame)


def test_verify_says_what_was_found(needs_server: None, portrait: Any, capfd: pytest.CaptureFixture[str]) -> None:
    folder = take(portrait)
    frames = [write_frame(frame_path(folder, number)) for number in (1, 2, 3)]
    assert bpy.ops.portrait.verify_frames() == {"FINISHED"}
    assert verify_job.last().outcome is Outcome.OURS
    ((names, words),) = verify_job.last().lines
    assert names == "0001.png to 0003.png (3 frames)" and "not altered since" in words
    assert "Made with Talking Portraits, not altered since" in capfd.readouterr().out
    assert "not altered since" in drawn()
    frames[1].write_bytes(frames[1].read_bytes()[:-20])
    assert bpy.ops.portrait.verify_frames() == {"FINISHED"}
    assert verify_job.last().outcome is Outcome.NOT_AS_MADE and len(verify_job.last().lines) == 3
    assert bpy.ops.portrait.show_verified() == {"FINISHED"}
    assert bpy.ops.portrait.forget_verified() == {"FINISHED"} and not bpy.ops.portrait.show_verified.poll()


def test_a_chosen_or_packed_file_is_verified(needs_server: None, scene: Any, tmp_path: Path) -> None:
    write_png(tmp_path / "plain.png", np.full((16, 24, 3), 90, np.uint8))
    assert bpy.ops.portrait.verify_file(filepath=str(tmp_path / "plain.png")) == {"FINISHED"}
    assert verify_job.last().outcome is Outcome.TELLS_NOTHING
    image = bpy.data.images.load(str(write_frame(tmp_path / "0001.png")))
    image.pack()
    (tmp_path / "0001.png").unlink()
    shown = shown_files.of_image(image, bpy.data.textures.new("t", "IMAGE").image_user)
    job_queue.run(VerifyJob(server.launch_plan(bpy.context), shown))
    assert verify_job.last().outcome is Outcome.OURS and verify_job.last().lines[0][0] == "0001.png"


def test_without_a_file_it_is_said(scene: Any) -> None:
    with pytest.raises(RuntimeError, match="not said which file"):
        bpy.ops.portrait.verify_file()
    for operator in (bpy.ops.portrait.verify_image, bpy.ops.portrait.verify_strips, bpy.ops.portrait.verify_frames):
        assert not operator.poll()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_long_list_is_shown_short(outcome: Outcome, addon: Any) -> None:
    seen: list[str] = []
    lines = tuple(
        (f"{number}.png", "It tells of nothing, in more words than one line has room for.") for number in range(9)
    )
    draw_verified(CheckedLayout(seen), Verified(outcome, lines, ("A note",)), 30, 4)
    assert " ".join(seen).startswith(Verified(outcome, ()).heading) and "3.png" in seen and "4.png" not in seen
    assert any(line.startswith("and 5 more") for line in seen) and seen[-1] == "A note"
    assert max(map(len, seen)) <= 30
