# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits go out as OpenTimelineIO and come back the same; what other programs write is read, or told."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest
from opentimelineio.opentime import RationalTime, TimeRange
from portrait_server.cli import main
from portrait_server.media.timelines import read_timeline, timeline_of, write_timeline
from portrait_shared.edits import FRAMES, MOVIE, SOUND, Clip, Edit, Marker, Media
from portrait_shared.errors import PortraitError

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)]


def an_edit(folder: Path, rate: Fraction = Fraction(25)) -> Edit:
    """Frames below 0 that were cut in two, a movie under them that is retimed and hidden, and a sound."""
    frames = Media(FRAMES, str(folder / "shots" / "frames of anna"), -3, 40, "anna 100%.", ".exr", 5)
    movie, sound = Media(MOVIE, str(folder / "plate.mov"), 0, 100), Media(SOUND, "/elsewhere/töne.wav", 0, 100)
    return Edit(
        "Scene é", rate, -3,
        (
            Clip("plate", movie, 1, 0, 60, 20, 1.5, False),
            Clip("anna", frames, 3, -3, 10, -3, metadata={"engine": "warp", "matte": True, "scale": 0.5, "first": -3}),
            Clip("anna.001", frames, 3, 20, 15, 12),
            Clip("töne", sound, 4, 0, 100, 0),
        ),
        (Marker("Cut", 12), Marker("No face", 13)),
    )  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
def test_the_same_edit_comes_back(tmp_path: Path, rate: Fraction) -> None:
    edit, path = an_edit(tmp_path, rate), tmp_path / "edit.otio"
    path.write_text(write_timeline(edit, path))
    assert read_timeline(path) == edit


def test_ten_minutes_keep_their_frames(tmp_path: Path) -> None:
    for rate in RATES:
        count = round(600 * rate)
        media = Media(FRAMES, str(tmp_path / "frames"), 1, count)
        clips = tuple(Clip(f"{at}", media, 1, at, 1, at) for at in range(1, count, 997))
        path = tmp_path / "edit.otio"
        path.write_text(write_timeline(Edit("long", rate, 1, clips), path))
        assert read_timeline(path).clips == clips


def test_another_program_finds_the_pictures(tmp_path: Path) -> None:
    timeline = timeline_of(an_edit(tmp_path), tmp_path)
    clip = next(clip for clip in timeline.find_clips() if clip.name == "anna.001")
    reference = clip.media_reference
    first = reference.frame_for_time(clip.trimmed_range().start_time)
    assert first == 12
    assert reference.target_url_for_image_number(first - reference.start_frame) == (
        "shots/frames%20of%20anna/anna%20100%25.00012.exr"
    )
    assert timeline.global_start_time == RationalTime(-3, 25)
    track = timeline.video_tracks()[1]
    assert track.range_of_child(clip).start_time.value == 23  # after the scene's frame -3
    assert clip.metadata["talking_portraits"] == {}


def test_a_moved_project_still_finds_its_media(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "edit.otio"
    path.write_text(write_timeline(an_edit(tmp_path / "old"), path))
    (tmp_path / "old").rename(tmp_path / "new")
    media = {clip.name: clip.media for clip in read_timeline(tmp_path / "new" / "edit.otio").clips}
    assert media["anna"] is not None and media["anna"].path == str(tmp_path / "new" / "shots" / "frames of anna")
    assert media["töne"] is not None and media["töne"].path == "/elsewhere/töne.wav"


def test_what_cannot_be_taken_over_is_told(tmp_path: Path) -> None:
    track = otio.schema.Track("V1")
    seen = TimeRange(RationalTime(10, 24), RationalTime(24, 24))
    web = otio.schema.Clip("web", otio.schema.ExternalReference("https://example.com/a.mov"), seen)
    missing = otio.schema.Clip("missing", otio.schema.MissingReference(), seen)
    missing.effects.append(otio.schema.FreezeFrame())
    fade = otio.schema.Transition("fade", in_offset=RationalTime(2, 24), out_offset=RationalTime(2, 24))
    track.extend([web, fade, missing, otio.schema.Stack("nest")])
    timeline = otio.schema.Timeline("foreign")
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(tmp_path / "a.otio"))
    edit = read_timeline(tmp_path / "a.otio")
    assert edit.rate == 24
    assert [(clip.name, clip.media, clip.at, clip.count, clip.first) for clip in edit.clips] == [
        ("web", None, 1, 24, 10), ("missing", None, 25, 24, 10),
    ]  # fmt: skip
    said = " ".join(edit.notes)
    assert all(word in said for word in ("web has no media", "fade was left out", "nest was left out", "FreezeFrame"))


def test_the_command_goes_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (-1, 0, 1, 2):
        (tmp_path / f"a.{'-' if number < 0 else ''}{abs(number):04d}.png").touch()
    timeline, edit = tmp_path / "a.otio", tmp_path / "a.json"
    assert main(["otio", str(tmp_path), "--prefix", "a.", "--fps", "29.97", "--output", str(timeline)]) == 0
    assert main(["otio", str(timeline), "--output", str(edit)]) == 0
    assert "1 clips" in capsys.readouterr().out
    found = Edit.load(edit)
    (clip,) = found.clips
    assert (found.rate, found.start, clip.at, clip.count, clip.first) == (Fraction(30000, 1001), -1, -1, 4, -1)
    assert clip.metadata["made_with"].startswith("Talking Portraits")
    again = tmp_path / "b.otio"
    assert main(["otio", str(edit), "--output", str(again)]) == 0
    assert again.read_text() == timeline.read_text()


def timeline_of_one_clip(own: object) -> str:
    """A clip that tells no length, with something in the place of this project's metadata."""
    track = otio.schema.Track("V1", metadata={"talking_portraits": own})
    track.append(otio.schema.Clip("x", metadata={"talking_portraits": own}))
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(track)
    return str(otio.adapters.write_to_string(timeline, "otio_json"))


@pytest.mark.parametrize("own", ["text", {"channel": "third"}, [1]])
def test_metadata_that_another_program_has_altered_is_let_be(tmp_path: Path, own: object) -> None:
    timeline = otio.adapters.read_from_string(timeline_of_one_clip(own), "otio_json")
    timeline.tracks[0][0].source_range = TimeRange(RationalTime(3, 24), RationalTime(5, 24))
    otio.adapters.write_to_file(timeline, str(tmp_path / "a.otio"))
    (clip,) = read_timeline(tmp_path / "a.otio").clips
    assert (clip.channel, clip.first, clip.count) == (1, 3, 5)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{}", "does not say"),
        ("a.json", "[" * 100_000, "no JSON"),
        ("a.json", json.dumps({"format": "talking-portraits edit 1", "name": "x"}), "missing"),
        ("a.otio", "nothing", "no edit that can be read"),
        ("a.otio", otio.adapters.write_to_string(otio.schema.Clip("x"), "otio_json"), "holds a Clip, not a timeline"),
        ("a.otio", "[" * 100_000, "no edit that can be read"),
        ("a.otio", '{"OTIO_SCHEMA": "Timeline.1", "tracks": null}', "no tracks"),
        ("a.otio", timeline_of_one_clip(None), "tells neither its length"),
        ("a.xyz", "", "no edit that can be read"),
    ],
)
def test_a_file_that_is_no_edit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    assert main(["otio", str(tmp_path / name), "--output", str(tmp_path / "out.otio")]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out.otio").exists()


@pytest.mark.parametrize("change", [{"rate": [0, 1]}, {"rate": [25, 0]}, {"start": 0.5}, {"clips": [{"name": "x"}]}])
def test_a_field_that_is_wrong_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "a.json"
    an_edit(tmp_path).save(path)
    assert Edit.load(path) == an_edit(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PortraitError, match="a field is missing"):
        Edit.load(path)
