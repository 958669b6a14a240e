# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render --plate`: the files it writes of a shot, what it leaves alone, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import OpenImageIO
import pytest
import skimage.data
from portrait_server import cli
from portrait_server.media.images import read_image
from portrait_server.shots.reader import ShotReader
from portrait_shared.disclosure import USUALLY_SHOWN
from portrait_shared.frames.frame_marks import read_mark
from portrait_shared.shots import SHOT_ARRAY, ShotIdentity, performance_digest, shot_digest, shot_frame_digest
from portrait_shared.track import LandmarkTrack

from tests.server.video_files import write_video
from tests.signed_frames import signed_frames

COUNT = 6
OPENED = (2, 4)
"""Indices of the frames whose mouth the track opens."""


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photo = np.asarray(skimage.data.astronaut())[:320, 60:380]
    frames = [np.roll(photo, 2 * number, 1) for number in range(COUNT)]
    return write_video(tmp_path_factory.mktemp("shot") / "shot.mp4", frames, options={"qp": "4", "g": "4"})


@pytest.fixture(scope="module")
def found_file(movie: Path) -> Path:
    path = movie.with_name("points.npz")
    assert cli.main(["landmarks", str(movie), "--output", str(path), "--detector", "mediapipe"]) == 0
    return path


@pytest.fixture(scope="module")
def found(found_file: Path) -> LandmarkTrack:
    return LandmarkTrack.load(found_file)


def changed(found: LandmarkTrack, start: int = 1) -> LandmarkTrack:
    points = found.points.copy()
    for index in OPENED:
        points[index, [55, 56, 57, 58, 59, 65, 66, 67, *range(6, 11)], 1] += 6
    return LandmarkTrack(points, found.size, found.fps, start)


@pytest.fixture
def track_file(found: LandmarkTrack, tmp_path: Path) -> Path:
    changed(found).save(tmp_path / "track.npz")
    return tmp_path / "track.npz"


def render(movie: Path, points: Path, track: Path, output: Path, *words: object) -> int:
    named = {"--plate": movie, "--plate-points": points, "--track": track, "--output": output}
    return cli.main(["render", *(str(word) for pair in named.items() for word in pair), *map(str, words)])


def said(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """Lines on standard output, and all on standard error."""
    output = capsys.readouterr()
    return output.out.splitlines(), output.err


def own_frames(movie: Path, depth: int = 8) -> list[np.ndarray]:
    with ShotReader(movie, depth) as shot:
        return list(shot)


def test_changed_frames_are_drawn_and_others_are_the_shots_own(
    movie: Path, found_file: Path, found: LandmarkTrack, track_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert render(movie, found_file, track_file, tmp_path / "out", "--progress") == 0
    lines, _ = said(capsys)
    paths = [tmp_path / "out" / f"{number:04d}.png" for number in range(1, COUNT + 1)]
    assert [line for line in lines if line.startswith("Saved: ")] == [f"Saved: {path}" for path in paths]
    assert lines[-2] == f"Progress: {COUNT}/{COUNT}"
    assert lines[0].startswith("Engine: warp warp-")
    engine, fingerprint = lines[0].split()[1:]
    target, performance, shot = LandmarkTrack.load(track_file), performance_digest(found), shot_digest(movie)
    for index, (path, own) in enumerate(zip(paths, own_frames(movie), strict=True)):
        picture = read_image(path)
        assert (index in OPENED) == bool((picture != own).any())
        mark = read_mark(path)
        assert mark is not None and mark.photo == shot
        assert mark.digest == shot_frame_digest(
            engine, fingerprint, shot, performance, index, target.points[index], found.points[index],
            disclosure=USUALLY_SHOWN,
        )  # fmt: skip
        assert (b"compositeSynthetic" in path.read_bytes()) == (index in OPENED)


def test_a_second_run_draws_only_what_is_not_there(
    movie: Path, found_file: Path, track_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    assert render(movie, found_file, track_file, output, "--frames", "2-5") == 0
    before = {name: ((output / name).stat().st_ino, data) for name, data in signed_frames(output).items()}
    assert sorted(before) == ["0002.png", "0003.png", "0004.png", "0005.png"]
    (output / "0003.png").unlink()
    content = bytearray((output / "0004.png").read_bytes())
    content[-40] ^= 1
    (output / "0004.png").write_bytes(content)
    assert render(movie, found_file, track_file, output) == 0
    for name, (node, content) in before.items():
        assert (output / name).read_bytes() == content
        assert ((output / name).stat().st_ino == node) == (name in ("0002.png", "0005.png"))
    assert len(signed_frames(output)) == COUNT


def test_pictures_of_sixteen_bits_and_a_track_that_starts_elsewhere(
    movie: Path, found: LandmarkTrack, tmp_path: Path
) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    deep = [frame.astype(np.uint16) * 257 + 3 for frame in own_frames(movie)]
    for number, frame in enumerate(deep, 1001):
        cv2.imwrite(str(folder / f"a.{number}.png"), frame[..., ::-1])
    replace(found, extra={}, start=1001).save(tmp_path / "points.npz")
    changed(found, start=1001).save(tmp_path / "track.npz")
    output = tmp_path / "out"
    assert render(folder, tmp_path / "points.npz", tmp_path / "track.npz", output, "--depth", 16) == 0
    for index, own in enumerate(deep):
        picture = read_image(output / f"{1001 + index}.png", 16)
        assert (index in OPENED) == bool((picture != own).any())


def test_a_shot_is_never_written_over(
    movie: Path, found: LandmarkTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    for number, frame in enumerate(own_frames(movie), 1):
        cv2.imwrite(str(folder / f"{number:04d}.png"), frame[..., ::-1])
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    changed(found).save(tmp_path / "track.npz")
    replace(found, extra={}).save(tmp_path / "points.npz")
    film = tmp_path / "film.mp4"
    film.write_bytes(movie.read_bytes())
    before = {path: path.read_bytes() for path in (film, *folder.iterdir())}
    given = ["--plate-points", tmp_path / "points.npz", "--track", tmp_path / "track.npz"]
    for words in (
        ["render", "--plate", folder, *given, "--output", folder],
        ["render", "--plate", folder / "####.png", *given, "--output", tmp_path / "link"],
        ["render", "--reference", folder / "0002.png", "--track", tmp_path / "track.npz", "--output", folder],
        ["shot-frame", folder, "--output", folder / "0004.png"],
        ["landmarks", film, "--output", film],
        ["landmarks", folder, "--output", folder / "0001.png"],
        ["movie", folder, "--plate", film, "--output", film],
        ["movie", folder, "--sound", film, "--output", film],
        ["visemes", film, "--output", film],
    ):
        assert cli.main([str(word) for word in words]) == 1, words
        assert "would be overwritten" in said(capsys)[1], words
        assert {path: path.read_bytes() for path in (film, *folder.iterdir())} == before


def test_points_are_found_where_none_are_given(
    movie: Path, found: LandmarkTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(found, extra={}).save(tmp_path / "track.npz")
    words = ["--plate", movie, "--track", tmp_path / "track.npz", "--output", tmp_path / "out", "--frames", "3"]
    assert cli.main(["render", *map(str, words)]) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "0003.png"), own_frames(movie)[2])


def test_frames_without_a_face_are_the_shots_own(
    movie: Path, found: LandmarkTrack, track_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = np.array([index not in (1, 2) for index in range(COUNT)])
    points = tmp_path / "points.npz"
    replace(found, extra={**found.extra, "detected": blind}).save(points)
    assert render(movie, points, track_file, tmp_path / "out") == 1
    error = said(capsys)[1]
    assert "frame 3" in error and "--frames" in error
    assert not (tmp_path / "out").exists()
    assert render(movie, points, track_file, tmp_path / "out", "--frames", "1,2,4-6") == 0


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("shorter points", "points for 5 frames"),
        ("other size", "320x321"),
        ("another shot", "has changed"),
        ("shorter track", "has 5 frames"),
        ("track of another size", "320x321"),
        ("far", "outside"),
        ("frames beyond", "frame 7 is not in it"),
        ("gone", "There is no file"),
        ("option", "--matte does not go with --plate"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    movie: Path, found: LandmarkTrack, tmp_path: Path, part: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    points, track, shot, words = found, changed(found), movie, []
    if part == "shorter points":
        extra = {name: array[:5] for name, array in found.extra.items() if name != SHOT_ARRAY}
        points = replace(found, points=found.points[:5], extra=extra)
    elif part == "other size":
        points = replace(found, size=(320, 321))
    elif part == "another shot":
        points = replace(found, extra={**found.extra, SHOT_ARRAY: ShotIdentity("d" * 64, "s" * 64).as_array()})
    elif part == "shorter track":
        track, words = replace(track, points=track.points[:5]), ["--frames", "1-5"]
    elif part == "track of another size":
        track = replace(track, size=(320, 321))
    elif part == "far":
        track = replace(track, points=track.points + 5000)
    elif part == "frames beyond":
        words = ["--frames", "7"]
    elif part == "gone":
        shot = tmp_path / "gone.mp4"
    else:
        words = ["--matte"]
    points.save(tmp_path / "points.npz")
    track.save(tmp_path / "track.npz")
    assert render(shot, tmp_path / "points.npz", tmp_path / "track.npz", tmp_path / "out", *words) == 1
    error = said(capsys)[1]
    assert wanted in error and error.count("\n") == 2, error
    assert not (tmp_path / "out").exists()


def test_a_picture_that_cannot_be_read_ends_the_run_and_keeps_the_frames(
    movie: Path, found: LandmarkTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    for number, frame in enumerate(own_frames(movie), 1):
        cv2.imwrite(str(folder / f"{number}.png"), frame[..., ::-1])
    (folder / "5.png").write_bytes(b"half written")
    replace(found, extra={}).save(tmp_path / "points.npz")
    changed(found).save(tmp_path / "track.npz")
    assert render(folder, tmp_path / "points.npz", tmp_path / "track.npz", tmp_path / "out") == 1
    lines, error = said(capsys)
    assert "5.png" in error
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert there >= {line.rsplit("/")[-1] for line in lines if line.startswith("Saved")} and "0005.png" not in there


@pytest.fixture(scope="module")
def filmed_light(movie: Path) -> Path:
    """The shot as a film plate: OpenEXR of another program, half floats, brighter and with finer steps than 8 bits have."""
    folder = movie.with_name("light")
    folder.mkdir()
    shade = np.linspace(1, 1.003, 320, dtype=np.float32)[:, None, None]
    for number, frame in enumerate(own_frames(movie), 1001):
        code = frame.astype(np.float32) / 255
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) * shade
        light[:4] = 7.5
        output = OpenImageIO.ImageOutput.create(path := str(folder / f"sc010.{number}.exr"))
        assert output.open(path, OpenImageIO.ImageSpec(320, 320, 3, "half")) and output.write_image(light)
        output.close()
    return folder


@pytest.mark.parametrize("depth", [8, 16])
def test_a_film_plate_is_drawn_in_its_own_bits(
    filmed_light: Path, tmp_path: Path, depth: int, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.npz"
    assert cli.main(["landmarks", str(filmed_light), "--output", str(points), "--detector", "mediapipe"]) == 0
    found = LandmarkTrack.load(points)
    assert found.start == 1001 and found.extra["detected"].all()
    changed(found, 1001).save(tmp_path / "track.npz")
    assert render(filmed_light, points, tmp_path / "track.npz", tmp_path / "out", "--depth", depth) == 0
    notes = [line for line in said(capsys)[0] if line.startswith("Note: ")]
    assert notes[0] == "Note: Its pictures are OpenEXR, scene-linear; frames are sRGB, in which light above 1 is white."
    assert notes[1:] == [] if depth == 16 else "--depth 16" in notes[1]
    for index, own in enumerate(own_frames(filmed_light, depth)):
        drawn = read_image(tmp_path / "out" / f"{1001 + index}.png", depth)
        assert drawn.dtype == own.dtype == (np.uint8 if depth == 8 else np.uint16) and (own[:4] == own.max()).all()
        assert (index in OPENED) == bool((drawn != own).any())
        assert (drawn[:20] == own[:20]).all() and (drawn[:, :10] == own[:, :10]).all(), "far from the mouth"
        assert depth == 8 or len(np.unique(own)) > 1000


def test_a_film_plate_half_written_is_named(
    filmed_light: Path, found: LandmarkTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    for number, file in enumerate(sorted(filmed_light.iterdir()), 1):
        content = file.read_bytes()
        (folder / f"{number}.exr").write_bytes(content[: len(content) // 2] if number == 5 else content)
    replace(found, extra={}).save(tmp_path / "points.npz")
    changed(found).save(tmp_path / "track.npz")
    assert render(folder, tmp_path / "points.npz", tmp_path / "track.npz", tmp_path / "out") == 1
    error = said(capsys)[1]
    assert "5.exr" in error and "damaged or incomplete" in error and "once more" in error


def test_a_photo_and_a_shot_exclude_each_other(movie: Path, track_file: Path, tmp_path: Path) -> None:
    for sources in ([], ["--plate", movie, "--reference", movie]):
        with pytest.raises(SystemExit):
            cli.main(["render", *map(str, sources), "--track", str(track_file), "--output", str(tmp_path / "out")])


def layers_in(path: Path) -> dict[str, np.ndarray]:
    channels = OpenEXR.File(str(path), separate_channels=True).channels()
    return {name: channel.pixels.astype(np.float32) for name, channel in channels.items()}


def test_layers_of_a_shot_are_of_its_own_pictures(
    movie: Path, found_file: Path, found: LandmarkTrack, track_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert render(movie, found_file, track_file, out, "--frames", "2-4", "--format", "exr") == 0
    assert render(movie, found_file, track_file, out, "--frames", "2-4") == 0
    assert sorted(signed_frames(out)) == sorted(f"000{n}.{end}" for n in (2, 3, 4) for end in ("exr", "png"))
    for number in (2, 3, 4):
        layers, picture = layers_in(out / f"000{number}.exr"), read_image(out / f"000{number}.png").astype(float) / 255
        light = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
        np.testing.assert_allclose(np.dstack([layers[name] for name in "RGB"]), light, rtol=6e-4, atol=1e-6)
        assert (layers["A"] == 1).all() and 0.2 < layers["matte.A"].mean() < 0.9
        assert layers["depth.Z"].min() < -1 and layers["depth.Z"].max() == 0
    tip = tuple(found.points[1, 30, 1::-1].astype(int))
    across = found.points[2, 30, 0] - found.points[1, 30, 0]
    asked = layers_in(out / "0002.exr")
    assert asked["forward.u"][tip] == pytest.approx(across, abs=0.1)
    assert asked["forward.v"][tip] == pytest.approx(0, abs=0.1), "as it was filmed, and not as its landmark strays"
    assert (asked["confidence.Y"] == 1).all(), "the frame is as it was filmed"
    assert (layers_in(out / "0004.exr")["forward.u"] == 0).all(), "the last frame asked for"
    sure = layers_in(out / "0003.exr")["confidence.Y"]
    mouth = changed(found).points[2, 60:68, :2].round().astype(int)
    (left, top), (right, bottom) = mouth.min(0), mouth.max(0)
    assert sure[top:bottom, left:right].min() < 0.3, "the mouth was opened over what the shot does not show"
    assert sure[:10].min() == 1 and sure[tip] > 0.9


def test_layers_are_made_again_where_something_changed(
    movie: Path, found_file: Path, found: LandmarkTrack, track_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out, asked = tmp_path / "out", ("--frames", "1-4", "--format", "exr", "--layers", "depth,forward")

    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in out.iterdir()}

    assert render(movie, found_file, track_file, out, *asked) == 0
    first = written()
    assert render(movie, found_file, track_file, out, *asked) == 0 and written() == first
    track = changed(found)
    track.points[2, 68:, 0] += 3
    track.save(tmp_path / "other.npz")
    assert render(movie, found_file, tmp_path / "other.npz", out, *asked) == 0
    assert [name for name, when in sorted(written().items()) if when != first[name]] == [
        "0002.exr",
        "0003.exr",
        "frames.c2pa",
    ]
    header = OpenEXR.File(str(out / "0001.exr"), header_only=True).header()
    assert header["framesPerSecond"] == found.fps and "DigitalSourceType" not in header
    assert "DigitalSourceType" in OpenEXR.File(str(out / "0003.exr"), header_only=True).header()
