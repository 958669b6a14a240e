# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render` as a script or a farm uses it: what it writes, what it refuses, and what it survives."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO
import pytest
import skimage.data
from PIL import Image
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.media.images import read_image
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import find_server
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.frames.identity import Identity
from portrait_shared.track import LandmarkTrack

from tests.own_server import own_server
from tests.posing import turned
from tests.signed_frames import signed_frames
from tests.two_people import two_people
from tests.waiting import PATIENCE_SECONDS

_SIDE = 160


@pytest.fixture(scope="module", autouse=True)
def without_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: servers start without the networks, whose loading is most of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))
        yield


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photo, and a track of 24 frames that starts at 7."""
    folder = tmp_path_factory.mktemp("material")
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    assert (
        main(["landmarks", str(folder / "photo.png"), "--output", str(folder / "photo.npz"), "--detector", "mediapipe"])
        == 0
    )
    rest = LandmarkTrack.load(folder / "photo.npz")
    points = np.repeat(rest.points, 24, axis=0)
    points[:, :, 0] += 6 * np.sin(np.linspace(0, 3, 24))[:, None]
    LandmarkTrack(points, rest.size, 24, start=7).save(folder / "track.npz")
    return folder / "photo.png", folder / "track.npz"


@pytest.fixture(scope="module")
def server(without_weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Arguments that use one server for many tests."""
    with own_server(tmp_path_factory.mktemp("server")) as words:
        yield words


def render(photo: Path, track: Path, output: Path, *more: str) -> int:
    return main(["render", "--reference", str(photo), "--track", str(track), "--output", str(output), *more])


def test_it_writes_numbered_frames_of_the_tracks_size(
    material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(*material, tmp_path / "out", "--frames", "9-11,20", *server) == 0
    names = ["0009.png", "0010.png", "0011.png", "0020.png"]
    assert sorted(signed_frames(tmp_path / "out")) == names
    assert capsys.readouterr().out.splitlines()[-4:] == [f"Saved: {tmp_path / 'out' / name}" for name in names]
    assert read_image(tmp_path / "out" / "0009.png").shape == (_SIDE, _SIDE, 3)


def test_it_writes_layers_that_another_program_reads(
    material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, track_file = material
    server = [*server, "--no-watermark"]  # it is not rounded to levels in layered frames
    out, asked = tmp_path / "out", ("--frames", "7-9", "--format", "exr", *server)
    track = LandmarkTrack.load(track_file)
    timed = tmp_path / "timed.npz"
    dataclasses.replace(track, extra={"timecode": np.array("10:00:00:00")}).save(timed)
    assert render(photo, timed, out, *asked) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [f"Saved: {out / f'000{number}.exr'}" for number in (7, 8, 9)]
    first = signed_frames(out)
    (out / "0008.exr").write_bytes(first["0008.exr"][:2000])
    assert render(photo, timed, out, *asked) == 0
    assert signed_frames(out) == first

    file = OpenImageIO.ImageInput.open(str(out / "0008.exr"))
    spec, pixels = file.spec(), file.read_image("float")
    file.close()
    names = ["A", "B", "G", "R", "confidence.Y", "depth.Z", "forward.u", "forward.v", "matte.A"]
    assert sorted(spec.channelnames) == names and pixels.shape == (_SIDE, _SIDE, len(names))
    plane = dict(zip(spec.channelnames, np.moveaxis(pixels, -1, 0), strict=True))
    assert render(photo, timed, out, "--frames", "8", *server) == 0
    value = read_image(out / "0008.png").astype(float) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(np.dstack([plane[name] for name in "RGB"]), light, rtol=6e-4, atol=1e-6)
    steps = np.diff(track.points[1:3, 30, 0])[0], plane["forward.u"][tuple(track.points[1, 30, 1::-1].astype(int))]
    assert steps[1] == pytest.approx(steps[0], abs=0.05)
    stated = {each.name: each.value for each in spec.extra_attribs}
    assert stated["framesPerSecond"] == (24, 1) and stated["smpte:TimeCode"][0] == 0x10000001
    assert stated["DigitalSourceType"].endswith("compositeSynthetic")


def test_it_tells_whether_the_frames_show_the_person(
    material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = tmp_path / "out", ("--frames", "7-9", "--recognised", "0.9", *server)
    assert render(*material, out, *asked) == 0
    assert "The person is recognised in 3 of 3 frames." in capsys.readouterr().err
    found = Identity.load(out / "identity.json")
    assert found is not None and found.share == 1 and list(found.frames) == [7, 8, 9]
    assert [frame.digest for frame in found.frames.values()] == [read_digest(out / f"000{n}.png") for n in (7, 8, 9)]
    assert [frame.distance for frame in found.frames.values()] < [0.2] * 3

    told = dict(found.frames)
    told[8] = dataclasses.replace(told[8], distance=0.125)
    told[9] = dataclasses.replace(told[9], digest="of other pixels", distance=0.75)
    Identity(found.measure, found.threshold, told).save(out / "identity.json")
    assert render(*material, out, *asked) == 0
    again = Identity.load(out / "identity.json")
    assert again is not None and again.frames == {**found.frames, 8: told[8]}, "what is known is not measured again"

    capsys.readouterr()
    assert render(*material, tmp_path / "small", "--size", "48", *asked) == 3
    assert "it cannot be told of 7-9: the face is too small" in (said := capsys.readouterr().err)
    assert "recognised in 0.0% of the frames, not in 90.0%" in said
    assert main(["recognise", str(out), "--reference", str(material[0]), "--track", str(material[1])]) == 0
    assert "in 3 of 3 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layers", "depth"), "PNG files hold no layers"),
        (("--format", "exr", "--layers", "depth,albedo"), "“albedo” is none of the layers"),
        (("--format", "exr", "--colorspace", "srgb"), "invalid choice"),
    ],
)
def test_layers_that_there_are_not_are_named(
    material: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    words: str,
) -> None:
    try:
        status = render(*material, tmp_path / "out", *options)
    except SystemExit as error:
        status = int(error.code or 0)
    assert status != 0 and words in capsys.readouterr().err


def test_a_rerun_skips_valid_frames_and_mends_others(
    material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert render(*material, out, "--frames", "7-12", *server) == 0
    first = {name: (data, (out / name).stat().st_mtime_ns) for name, data in signed_frames(out).items()}
    (out / "0008.png").write_bytes(first["0008.png"][0][:1000])
    (out / "0009.png").unlink()
    capsys.readouterr()
    assert render(*material, out, "--frames", "7-12", *server) == 0
    assert signed_frames(out) == {name: data for name, (data, _) in first.items()}
    renewed = {name for name, (_, time) in first.items() if (out / name).stat().st_mtime_ns != time}
    assert renewed == {"0008.png", "0009.png"}
    assert len(re.findall("Saved: ", capsys.readouterr().out)) == 6


def test_size_matte_and_chunks(material: tuple[Path, Path], server: list[str], tmp_path: Path) -> None:
    assert render(*material, tmp_path / "matte", "--frames", "7", "--size", "96", "--matte", *server) == 0
    cut_out = read_image(tmp_path / "matte" / "0007.png")
    assert cut_out.shape == (96, 96, 4) and cut_out[..., 3].min() == 0 and cut_out[..., 3].max() == 255
    for chunk in ("7-9", "10", "11-12"):
        assert render(*material, tmp_path / "chunks", "--frames", chunk, *server) == 0
    assert render(*material, tmp_path / "whole", "--frames", "7-12", *server) == 0
    for frame in (tmp_path / "whole").glob("*.png"):
        assert frame.read_bytes() == (tmp_path / "chunks" / frame.name).read_bytes()


def test_frames_of_16_bits_take_the_place_of_those_of_8(
    material: tuple[Path, Path], server: list[str], tmp_path: Path
) -> None:
    photo = cv2.GaussianBlur(read_image(material[0]).astype(np.float32), (0, 0), 1) * 257
    deep, out = tmp_path / "deep.png", tmp_path / "out"
    cv2.imwrite(str(deep), photo.astype(np.uint16)[..., ::-1])
    shared = ("--frames", "7-8", "--reference-points", str(material[0].with_suffix(".npz")), *server)
    assert render(deep, material[1], out, *shared) == 0
    shallow = signed_frames(out)
    for _ in range(2):
        assert render(deep, material[1], out, *shared, "--depth", "16") == 0
        stamps = _stamps(out)
    frame = out / "0008.png"
    assert {data[24] for data in signed_frames(out).values()} == {16}
    assert len(np.unique(read_image(frame, 16)[..., 0])) > 1000
    frame.write_bytes(frame.read_bytes()[:-50])
    assert render(deep, material[1], out, *shared, "--depth", "16") == 0
    assert [name for name, stamp in _stamps(out).items() if stamp != stamps[name]] == ["0008.png"]
    assert render(deep, material[1], out, *shared, "--depth", "8") == 0
    assert signed_frames(out) == shallow


def _edited(track: Path, folder: Path, frames: tuple[int, ...], still: bool = False) -> Path:
    """The track with some frames' points moved; or one in which no frame differs from the first."""
    before = LandmarkTrack.load(track)
    points = np.repeat(before.points[:1], len(before), axis=0) if still else before.points.copy()
    points[[frame - before.start for frame in frames], 48:68, 1] += 2
    LandmarkTrack(points, before.size, before.fps, start=before.start).save(folder / "edited.npz")
    return folder / "edited.npz"


def _stamps(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in signed_frames(folder)}


def test_only_what_changed_is_rendered_again_also_in_chunks(
    material: tuple[Path, Path], server: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert render(*material, out, "--frames", "7-14", *server) == 0
    before = _stamps(out)
    edited = _edited(material[1], tmp_path, (9, 12))
    for chunk in ("7-9", "10-14"):
        assert render(material[0], edited, out, "--frames", chunk, *server) == 0
    after = _stamps(out)
    assert [name for name in sorted(after) if after[name] != before[name]] == ["0009.png", "0012.png"]
    assert render(material[0], edited, tmp_path / "whole", "--frames", "7-14", *server) == 0
    for frame in (tmp_path / "whole").glob("*.png"):
        assert frame.read_bytes() == (out / frame.name).read_bytes()


def test_a_tracks_breath_is_drawn_and_makes_its_frames_others(
    material: tuple[Path, Path], server: list[str], tmp_path: Path
) -> None:
    out, track = tmp_path / "out", LandmarkTrack.load(material[1])
    assert render(*material, out, "--frames", "7-9", *server) == 0
    before = signed_frames(out)
    body = np.tile(np.float32([1, 0]), (len(track), 1))
    body[1, 1] = 1
    LandmarkTrack(track.points, track.size, track.fps, track.start, body=body).save(tmp_path / "breathing.npz")
    assert render(material[0], tmp_path / "breathing.npz", out, "--frames", "7-9", *server) == 0
    after = signed_frames(out)
    assert [name for name in sorted(after) if after[name] != before[name]] == ["0008.png"]


def test_frames_alike_are_drawn_once_and_moved_ones_not_at_all(
    material: tuple[Path, Path], server: list[str], tmp_path: Path
) -> None:
    def drawn() -> int:
        with Client(find_server(Path(server[1]))) as client:
            return client.stats()["frames_drawn"]

    out = tmp_path / "out"
    still = _edited(material[1], tmp_path, (10,), still=True)
    start = drawn()
    assert render(material[0], still, out, "--frames", "7-14", *server) == 0
    assert drawn() - start == 2 and len(signed_frames(out)) == 8
    assert (out / "0007.png").read_bytes() == (out / "0014.png").read_bytes() != (out / "0010.png").read_bytes()
    there = (out / "0010.png").read_bytes()
    still = _edited(material[1], tmp_path, (12,), still=True)
    assert render(material[0], still, out, "--frames", "7-14", *server) == 0
    assert drawn() - start == 2, "the same pictures at other frames"
    assert (out / "0012.png").read_bytes() == there and (out / "0010.png").read_bytes() != there
    assert not list(out.glob(".*"))


def _pictures(photo: Path, folder: Path) -> dict[str, Path]:
    """The photo in every kind that people have."""
    image = Image.open(photo)
    made = {name: folder / f"{name}.{kind}" for name, kind in (
        ("grey", "png"), ("palette", "png"), ("transparent", "png"), ("cmyk", "jpg"), ("rotated", "jpg"), ("deep", "png"),
    )}  # fmt: skip
    image.convert("L").save(made["grey"])
    image.convert("P").save(made["palette"])
    with_alpha = image.convert("RGBA")
    with_alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, _SIDE).astype(np.uint8), (_SIDE, 1))))
    with_alpha.save(made["transparent"])
    image.convert("CMYK").save(made["cmyk"], quality=95)
    turned = Image.Exif()
    turned[0x0112] = 6  # shown a quarter turn clockwise
    image.rotate(90, expand=True).save(made["rotated"], exif=turned, quality=95)
    cv2.imwrite(str(made["deep"]), cv2.imread(str(photo)).astype(np.uint16) * 257)
    return made


def test_every_kind_of_picture_renders(material: tuple[Path, Path], server: list[str], tmp_path: Path) -> None:
    plain = read_image(material[0]).astype(int)
    for name, picture in _pictures(material[0], tmp_path).items():
        assert render(picture, material[1], tmp_path / name, "--frames", "7", *server) == 0, name
        frame = read_image(tmp_path / name / "0007.png")
        assert frame.shape[:2] == (_SIDE, _SIDE) and frame.shape[2] == (4 if name == "transparent" else 3)
        if name in ("deep", "rotated"):  # the same picture, and upright
            assert np.abs(frame[..., :3].astype(int) - plain).mean() < 4, name


_REFUSED = {
    "no face": "no_face.png",
    "unreadable": "text.png",
    "missing": "nowhere.png",
    "another size": "small.png",
}


@pytest.mark.parametrize("what", sorted(_REFUSED))
def test_pictures_that_cannot_be_used(
    what: str, material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (_SIDE, _SIDE), "teal").save(tmp_path / "no_face.png")
    Image.open(material[0]).resize((64, 64)).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("not a picture")
    assert render(tmp_path / _REFUSED[what], material[1], tmp_path / "out", *server) == 1
    said = capsys.readouterr()
    assert "Saved" not in said.out and "Traceback" not in said.err
    words = {"no face": "face", "unreadable": "text.png", "missing": "nowhere.png", "another size": "64x64"}
    assert words[what] in said.err


@pytest.mark.parametrize("what", ["nan", "shape", "empty", "far", "not a track"])
def test_tracks_that_cannot_be_used(
    what: str, material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = LandmarkTrack.load(material[1])
    points = track.points.copy()
    bad = tmp_path / "bad.npz"
    if what == "nan":
        points[3, 5, 1] = np.nan
    elif what == "shape":
        points = points[:, :68]
    elif what == "empty":
        points = points[:0]
    elif what == "far":
        points[3, 5] = 1e7
    np.savez(bad, points=points, size=np.array(track.size), start=7)
    if what == "not a track":
        bad.write_bytes(b"PK\x03\x04 nothing")
    assert render(material[0], bad, tmp_path / "out", *server) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if what in ("nan", "far"):
        assert "rame 10" in said and "jaw_06" in said, "frame and point are named"
    assert not list((tmp_path / "out").glob("*.png"))


def test_names_that_do_not_exist_and_servers_that_are_not_there(
    material: tuple[Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(*material, tmp_path / "out", "--engine", "crystal-ball", *server) == 1
    assert "crystal-ball" in (said := capsys.readouterr().err) and "warp" in said
    assert render(*material, tmp_path / "out", "--frames", "1-3", *server) == 1
    assert "frames 7 to 30" in capsys.readouterr().err
    assert render(*material, tmp_path / "out", "--connect", str(tmp_path / "none.json")) == 1
    assert "portrait serve" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert render(*material, tmp_path / "file", *server) == 1
    assert "folder" in capsys.readouterr().err


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the server's process through Linux's /proc")
def test_a_killed_server_and_an_interrupted_command_change_nothing(material: tuple[Path, Path], tmp_path: Path) -> None:
    """Paths so long that what it says of 24 frames does not fit into a pipe: it is in their middle until it is read."""
    rough, cut = (tmp_path / (name * 48) for name in ("rough", "cut_"))
    command = [
        sys.executable,
        "-m",
        "portrait_server",
        "render",
        "--reference",
        str(material[0]),
        "--track",
        str(material[1]),
    ]
    command += ["--size", "256", "--output"]
    subprocess.run([*command, str(tmp_path / "calm")], check=True, capture_output=True)

    disturbed = subprocess.Popen(
        [*command, str(rough)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, pipesize=4096
    )
    assert disturbed.stdout is not None
    disturbed.stdout.readline()  # of a pipe without a buffer: `communicate` would not see what lies in one
    servers = [pid for pid in _children(disturbed.pid) if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert servers, "the command's own server is its child"
    os.kill(servers[0], signal.SIGKILL)
    output, errors = disturbed.communicate(timeout=PATIENCE_SECONDS)
    assert disturbed.returncode == 0, errors
    assert output.count(b"Saved: ") == 23

    interrupted = subprocess.Popen(
        [*command, str(cut)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, pipesize=4096
    )
    assert interrupted.stdout is not None
    interrupted.stdout.readline()
    interrupted.send_signal(signal.SIGINT)
    interrupted.communicate(timeout=PATIENCE_SECONDS)
    assert interrupted.returncode == 130
    there = signed_frames(cut)
    assert 0 < len(there) < 24 and all(read_digest(cut / name) for name in there), (
        "what is there is whole and signed, nothing else is left"
    )
    subprocess.run([*command, str(cut)], check=True, capture_output=True)

    for frame in (tmp_path / "calm").glob("*.png"):
        for other in (rough, cut):
            assert frame.read_bytes() == (other / frame.name).read_bytes(), (other.name[:3], frame.name)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A photo of two people, and a track of each, of 3 frames: at rest, the head turned, at rest again."""
    folder = tmp_path_factory.mktemp("two")
    photo, tracks = folder / "photo.png", (folder / "1.npz", folder / "2.npz")
    cv2.imwrite(str(photo), two_people(overlapping=False)[0][..., ::-1])
    for number, path in enumerate(tracks, 1):
        words = ["landmarks", str(photo), "--output", str(path), "--detector", "mediapipe", "--face", str(number)]
        assert main(words) == 0
        rest = LandmarkTrack.load(path)
        points = np.stack([rest.points[0], turned(rest.points[0], 12), rest.points[0]])
        LandmarkTrack(points, rest.size, 24).save(path)
    return photo, *tracks


def test_two_faces_are_driven_in_one_picture(
    two: tuple[Path, Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, left, right = two
    still = _edited(right, tmp_path, (), still=True)
    common = ["--frames", "1-2", "--no-watermark", *server]
    rendered = ["render", "--reference", str(photo), "--output", str(tmp_path / "both"), *common]
    assert main([*rendered, "--face", "1", "--track", str(left), "--face", "2", "--track", str(right)]) == 0
    assert capsys.readouterr().out.count("Saved: ") == 2
    rest, both = (read_image(tmp_path / "both" / name) for name in ("0001.png", "0002.png"))
    np.testing.assert_array_equal(rest, read_image(photo))
    half = rest.shape[1] // 2
    assert all(
        (part != whole).any() for part, whole in ((both[:, :half], rest[:, :half]), (both[:, half:], rest[:, half:]))
    )
    stamps = _stamps(tmp_path / "both")
    assert main([*rendered, "--face", "1", "--track", str(left), "--face", "2", "--track", str(right)]) == 0
    assert _stamps(tmp_path / "both") == stamps, "a rerun draws nothing again"
    words = ["--face", "1", "--track", str(left), "--face", "2", "--track", str(still)]
    assert main(["render", "--reference", str(photo), "--output", str(tmp_path / "one"), *common, *words]) == 0
    one = read_image(tmp_path / "one" / "0002.png")
    np.testing.assert_array_equal(one[:, half + 30 :], rest[:, half + 30 :])
    np.testing.assert_array_equal(one[:, : half - 30], both[:, : half - 30])
    alone = ["--output", str(tmp_path / "alone"), *common, "--face", "2", "--track", str(right)]
    assert main(["render", "--reference", str(photo), *alone]) == 0, "one face of two, by its number"


def test_faces_and_tracks_that_do_not_belong_together(
    two: tuple[Path, Path, Path], server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, left, right = map(str, two)
    other = LandmarkTrack.load(left)
    LandmarkTrack(other.points, (99, 99), 24).save(tmp_path / "size.npz")
    LandmarkTrack(other.points[:1], other.size, 24).save(tmp_path / "short.npz")
    for words, said in (
        (["--track", left, "--track", right], "0 faces but 2 tracks"),
        (["--face", "1", "--track", left, "--track", right], "1 faces but 2 tracks"),
        (["--face", "2", "--track", left, "--face", "2", "--track", right], "named twice"),
        (["--face", "1", "--track", left, "--face", "3", "--track", right], "There is no face 3"),
        (["--face", "1", "--track", left, "--face", "2", "--track", str(tmp_path / "size.npz")], "99x99"),
        (
            ["--face", "1", "--track", left, "--face", "2", "--track", str(tmp_path / "short.npz")],
            "short.npz: .* frame 2",
        ),
        (
            ["--face", "1", "--track", left, "--face", "2", "--track", right, "--reference-points", left],
            "2 faces but 1",
        ),
    ):
        assert main(["render", "--reference", photo, "--output", str(tmp_path / "none"), *server, *words]) == 1
        assert re.search(said, capsys.readouterr().err), words
    assert not list((tmp_path / "none").glob("*.png"))
