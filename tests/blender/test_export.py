# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies and edits leave Blender by the real `portrait` command, and the same edit comes back."""

from __future__ import annotations

import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from portrait_shared.edits import FRAMES, MOVIE, Clip, Edit, Media  # noqa: E402
from portrait_shared.errors import PortraitError  # noqa: E402
from portrait_shared.frames.frame_files import frame_path  # noqa: E402
from portrait_shared.frames.frame_marks import DIGEST_KEYWORD, SEAL_KEYWORD, pixel_seal, text_chunk  # noqa: E402

from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.export import edit_strips, scene_edit  # noqa: E402
from blender_addon.export.movie_job import MovieJob, MovieOptions  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.portraits import sequencer, strip_sound  # noqa: E402
from blender_addon.render.frame_folder import take  # noqa: E402
from tests.blender.conftest import write_png  # noqa: E402

HEADER_BYTES = 33  # a PNG's signature and header
MANIFEST_MARK = b"c2pa\x00\x11\x00\x10"  # what Content Credentials begin with in a file
SETTINGS = {"engine": "warp", "matte": True, "resolution_percentage": 50}


def write_frames(folder: Path, numbers: range, prefix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.full((32, 48, 3), 100, np.uint8)
        pixels[:, : 2 + number % 40] = 200
        write_png(frame_path(folder, number, prefix), pixels)
    return folder


@pytest.fixture
def film(scene: Any) -> Any:
    scene.render.fps, scene.render.fps_base = 24, 1.001
    return scene


def edited(scene: Any, folder: Path) -> Edit:
    """A portrait's strip that was cut in two, trimmed and moved, a foreign sequence below it, and markers."""
    write_frames(folder / "own", range(-3, 30))
    write_frames(folder / "other", range(1, 20), "shot-")
    sequencer.add_strip(scene, "uid", "anna", folder / "own", range(-3, 30), SETTINGS)
    strips = compat.strips_of(scene.sequence_editor)
    first = sequencer.find_strip(scene, "uid")
    compat.set_handle_offsets(first, 4, 20)
    second = sequencer.add_strip(scene, "uid", "anna", folder / "own", range(-3, 30), SETTINGS)
    compat.set_strip_start(second, 50)
    compat.set_handle_offsets(second, 10, 3)
    second.mute = True
    below = strips.new_image("other", str(folder / "other" / "shot-0001.png"), 7, 5)
    for number in range(2, 20):
        below.elements.append(f"shot-{number:04d}.png")
    scene.timeline_markers.new("Cut", frame=12)
    return scene_edit.edit_of(scene)


def test_an_edit_says_which_frames_are_seen_when(film: Any, tmp_path: Path) -> None:
    edit = edited(film, tmp_path)
    assert edit.rate == Fraction(24000, 1001)
    assert edit.notes == ()
    own = [clip for clip in edit.clips if clip.name.startswith("anna")]
    # File N lies at frame N until a strip is moved: what is seen at `at` is the frame of that number.
    assert [(clip.at, clip.first, clip.count, clip.enabled) for clip in own] == [
        (1, 1, 9, True), (60, 7, 20, False),
    ]  # fmt: skip
    assert own[0].media == Media(FRAMES, str(tmp_path / "own"), -3, 33, "", ".png", 4)
    assert own[0].metadata[sequencer.PORTRAIT_KEY] == "uid"
    assert own[0].metadata["made_with"].startswith("Talking Portraits")
    other = next(clip for clip in edit.clips if clip.name == "other")
    assert other.media == Media(FRAMES, str(tmp_path / "other"), 1, 19, "shot-", ".png", 4)
    assert (other.channel, other.at, other.first, other.count) == (7, 5, 1, 19)


def test_the_same_edit_is_built_again(film: Any, tmp_path: Path) -> None:
    edit = edited(film, tmp_path)
    film.sequence_editor_clear()
    film.timeline_markers.clear()
    built = edit_strips.build(film, edit)
    assert (built.strips, built.notes) == (3, [])
    assert scene_edit.edit_of(film) == edit
    assert len(sequencer.find_strips("uid")) == 2  # the portrait knows its strips again


def test_an_edit_goes_above_what_is_there(film: Any, tmp_path: Path) -> None:
    edit = edited(film, tmp_path)
    before = {
        strip.name: (strip.channel, compat.strip_range(strip)) for strip in compat.strips_of(film.sequence_editor)
    }
    edit_strips.build(film, edit)
    strips = compat.strips_of(film.sequence_editor)
    assert {name: (strips[name].channel, compat.strip_range(strips[name])) for name in before} == before
    assert min(strip.channel for strip in strips if strip.name not in before) > 7


def test_the_halves_of_a_cut_stay_side_by_side(film: Any, tmp_path: Path) -> None:
    write_frames(tmp_path, range(1, 25))
    sequencer.add_strip(film, "uid", "anna", tmp_path, range(1, 25), SETTINGS).split(frame=12, split_method="SOFT")
    edit = scene_edit.edit_of(film)
    assert [(clip.channel, clip.at, clip.first, clip.count) for clip in edit.clips] == [(1, 1, 1, 11), (1, 12, 12, 13)]
    film.sequence_editor_clear()
    edit_strips.build(film, edit)
    assert scene_edit.edit_of(film) == edit


def test_speed_comes_back(film: Any, tmp_path: Path) -> None:
    write_frames(tmp_path, range(1, 41))
    media = Media(FRAMES, str(tmp_path), 1, 40)
    edit = Edit("Scene", Fraction(24000, 1001), 1, (Clip("fast", media, 1, 10, 12, 5, 1.5),))
    assert edit_strips.build(film, edit).notes == []
    (clip,) = scene_edit.edit_of(film).clips
    assert (clip.at, clip.count, clip.speed) == (10, 12, 1.5)


def test_strips_in_metas_are_opened(film: Any, tmp_path: Path) -> None:
    write_frames(tmp_path, range(1, 21))
    strips = compat.strips_of(film.sequence_editor_create())
    meta = strips.new_meta("meta", 2, 30)
    child = compat.strips_of(meta).new_image("child", str(tmp_path / "0001.png"), 1, 30)
    for number in range(2, 21):
        child.elements.append(f"{number:04d}.png")
    (clip,) = scene_edit.edit_of(film).clips
    assert (clip.name, clip.first) == ("child", 1)


def test_what_is_not_there_is_told(film: Any, tmp_path: Path) -> None:
    gone = Clip("gone", Media(MOVIE, str(tmp_path / "gone.mov"), 0, 10), 1, 1, 10, 0)
    frames = Clip("frames", Media(FRAMES, str(tmp_path), 1, 10), 2, 1, 10, 1)
    built = edit_strips.build(film, Edit("x", Fraction(25), 1, (gone, frames)))
    assert built.strips == 0
    said = " ".join(built.notes)
    assert "gone.mov is not there" in said
    assert "frames: " in said
    assert "25 frames per second" in said


def test_an_empty_sequencer_is_refused(scene: Any) -> None:
    with pytest.raises(PortraitError, match="There is no strip"):
        scene_edit.edit_of(scene)


def test_a_timeline_goes_out_and_comes_back_by_the_command(needs_server: None, film: Any, tmp_path: Path) -> None:
    edit = edited(film, tmp_path)
    path = tmp_path / "edit.otio"
    assert bpy.ops.portrait.export_timeline(filepath=str(path)) == {"FINISHED"}
    film.sequence_editor_clear()
    film.timeline_markers.clear()
    assert bpy.ops.portrait.import_timeline(filepath=str(path)) == {"FINISHED"}
    assert scene_edit.edit_of(film) == edit


def test_a_timeline_that_cannot_be_read_is_told(needs_server: None, film: Any, tmp_path: Path) -> None:
    path = tmp_path / "edit.otio"
    path.write_text("nothing")
    with pytest.raises(RuntimeError, match="no edit that can be read"):
        bpy.ops.portrait.import_timeline(filepath=str(path))
    assert problems.last("") is not None


def rendered(portrait: Any, numbers: range) -> Path:
    """Frame files where the portrait has its own; returns their folder."""
    return write_frames(take(portrait), numbers)


def test_a_movie_of_the_frames(needs_server: None, portrait: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    portrait.output_folder = str(tmp_path / "frames")
    scene.frame_start, scene.frame_end = 1, 12
    rendered(portrait, range(3, 20))
    path = tmp_path / "anna.mov"
    assert bpy.ops.portrait.export_movie(filepath=str(path), codec="prores4444", sound=False) == {"FINISHED"}
    clip = bpy.data.movieclips.load(str(path))
    assert (clip.frame_duration, tuple(clip.size)) == (10, (48, 32))
    assert (scene.frame_start, scene.frame_end) == (1, 12)
    assert strip_sound.add_sound_of_shot(scene, "uid", path, range(1, 11)) is None, "it is silent"
    assert not compat.strips_of(scene.sequence_editor)


def test_the_sequencers_sound_is_heard(needs_sound: None, needs_server: None, portrait: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    portrait.output_folder = str(tmp_path / "frames")
    portrait.use_scene_range, portrait.frame_start, portrait.frame_end = False, 5, 28
    rendered(portrait, range(5, 29))
    samples = (np.sin(np.arange(48000) / 48000 * 2 * np.pi * 440) * 12000).astype("<i2")
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(samples.tobytes())
    strips = compat.strips_of(scene.sequence_editor_create())
    strips.new_sound("tone", str(tmp_path / "tone.wav"), 1, 17)
    path = tmp_path / "anna.mov"
    assert bpy.ops.portrait.export_movie(filepath=str(path), codec="prores4444") == {"FINISHED"}
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 24
    strips.remove(strips["tone"])
    strips.new_sound("movie", str(path), 1, 1)
    assert bpy.ops.sound.mixdown(filepath=str(tmp_path / "mix.wav"), container="WAV", codec="PCM", format="S16") == {
        "FINISHED"
    }
    with wave.open(str(tmp_path / "mix.wav")) as file:
        heard = np.frombuffer(file.readframes(10**7), "<i2").reshape(-1, file.getnchannels())[:, 0]
        begins = np.argmax(np.abs(heard.astype(int)) > 1000) / file.getframerate()
    assert abs(begins - 12 / 24) < 0.02  # the sound lies 12 frames after the movie's first
    strip = strip_sound.add_sound_of_shot(scene, "uid", path, range(50, 74))
    assert strip is not None and compat.strip_range(strip) == range(50, 74)


def test_a_timeline_beside_a_blend_that_was_never_saved_is_refused(scene: Any) -> None:
    scene.sequence_editor_create()
    with pytest.raises(RuntimeError, match=r"save the \.blend first"):
        bpy.ops.portrait.export_timeline(filepath="//a.otio")


def test_a_movie_of_nothing_is_refused(needs_server: None, portrait: Any, tmp_path: Path) -> None:
    portrait.output_folder = str(tmp_path / "frames")
    with pytest.raises(RuntimeError, match="was rendered yet"):
        bpy.ops.portrait.export_movie(filepath=str(tmp_path / "a.mp4"))
    assert not (tmp_path / "a.mp4").exists()


def drawn_frames(portrait: Any, numbers: range) -> Path:
    """Frames whose files say that they were drawn."""
    folder = rendered(portrait, numbers)
    for number in numbers:
        path = frame_path(folder, number)
        data = path.read_bytes()
        told = {DIGEST_KEYWORD: "a" * 64, SEAL_KEYWORD: pixel_seal(data), "software": "Talking Portraits 1.0.0 (warp)"}
        words = b"".join(text_chunk(keyword, text) for keyword, text in told.items())
        path.write_bytes(data[:HEADER_BYTES] + words + data[HEADER_BYTES:])
    return folder


@pytest.mark.parametrize(("kind", "begins"), [(".png", b"\x89PNG"), (".jpg", b"\xff\xd8"), (".tif", b"II*")])
def test_the_frame_that_is_seen_goes_out_as_a_signed_picture(
    needs_server: None, portrait: Any, tmp_path: Path, kind: str, begins: bytes
) -> None:
    portrait.output_folder, portrait.frame_step = str(tmp_path / "frames"), 2
    drawn_frames(portrait, range(3, 9, 2))
    bpy.context.scene.frame_set(6)  # where the fifth is held
    path = tmp_path / f"picture{kind}"
    assert bpy.ops.portrait.export_picture(filepath=str(path), kind=kind) == {"FINISHED"}
    written = bpy.data.images.load(str(path))
    assert tuple(written.size) == (48, 32)
    assert path.read_bytes().startswith(begins) and MANIFEST_MARK in path.read_bytes()
    row = np.array(written.pixels).reshape(32, 48, 4)[16, :, 0]
    assert np.argmax(row < 0.6) == 2 + 5


def test_what_goes_out_is_not_signed_where_the_preference_is_off(
    needs_server: None, portrait: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait.output_folder = str(tmp_path / "frames")
    drawn_frames(portrait, range(3, 5))
    bpy.context.scene.frame_set(3)
    plan = server.launch_plan
    for credentials in (True, False):
        monkeypatch.setattr(
            server, "launch_plan", lambda context, on=credentials: replace(plan(context), credentials=on)
        )
        picture, movie = tmp_path / f"{credentials}.png", tmp_path / f"{credentials}.mp4"
        assert bpy.ops.portrait.export_picture(filepath=str(picture)) == {"FINISHED"}
        assert bpy.ops.portrait.export_movie(filepath=str(movie), sound=False) == {"FINISHED"}
        assert [MANIFEST_MARK in path.read_bytes() for path in (picture, movie)] == [credentials] * 2


def test_a_movie_of_altered_frames_goes_out_and_it_is_said_that_it_is_not_signed(
    needs_server: None, portrait: Any, tmp_path: Path
) -> None:
    portrait.output_folder = str(tmp_path / "frames")
    rendered(portrait, range(3, 5))  # whose files do not say that they were drawn
    plan = server.launch_plan(bpy.context)
    job = MovieJob(portrait.uid, plan, MovieOptions(tmp_path / "a.mp4", "h264", False))
    job_queue.run(job)
    assert job.state is JobState.DONE and job.note == "Saved a.mp4"
    assert len(job.notes) == 1 and "It has no credentials: 0003.png and 1 more were altered since" in job.notes[0]


def test_a_picture_of_a_frame_that_was_not_rendered_is_refused(
    needs_server: None, portrait: Any, tmp_path: Path
) -> None:
    portrait.output_folder = str(tmp_path / "frames")
    rendered(portrait, range(3, 6))
    bpy.context.scene.frame_set(6)
    with pytest.raises(RuntimeError, match="Frame 6 was not rendered yet"):
        bpy.ops.portrait.export_picture(filepath=str(tmp_path / "a.png"))
    assert not (tmp_path / "a.png").exists()
