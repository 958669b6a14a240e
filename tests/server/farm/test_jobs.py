# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of photos: what is written, and that any pieces of it are, to the byte, what `portrait render` draws."""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.commands import job, render
from portrait_server.farm import farm_job, inputs, writing
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.worker import JobWorker
from portrait_server.provenance.reading import read_sequence
from portrait_shared import __version__
from portrait_shared.consent import Consent, Ground
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_marks import read_mark
from portrait_shared.track import LandmarkTrack

from tests.server.farm.conftest import COUNT, FIRST, Material
from tests.signed_frames import signed_frames
from tests.two_people import two_people

pytestmark = pytest.mark.usefixtures("without_weights")
LAST = FIRST + COUNT - 1


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their paths in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def written(photo: Material, connected: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of PNG files; tests copy it."""
    folder = tmp_path_factory.mktemp("jobs") / "job"
    assert main(["job", "write", str(folder), *photo.words(*connected)]) == 0
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "job")


def job_render(folder: Path, *words: object) -> int:
    return main(["job", "render", str(folder), *map(str, words)])


@pytest.mark.parametrize(
    ("words", "chunks"),
    [
        ([], ["8,10", f"{FIRST}", f"9,11-{LAST}"]),
        (["--matte", "--size", "111x70", "--frames", f"{FIRST}-10,{LAST}"], [f"10,{LAST}", f"{FIRST}-9"]),
        (["--depth", "16", "--size", "100"], [f"{FIRST}-{LAST}"]),
        (
            ["--format", "exr", "--layers", "rgba,forward,vector", "--colorspace", "acescg"],
            [str(number) for number in reversed(range(FIRST, LAST + 1))],
        ),
        (["--format", "exr", "--frames", f"{FIRST},9,{LAST}"], ["9", f"{FIRST},{LAST}"]),
    ],
    ids=["pictures", "mattes", "16 bits", "one at a time", "gaps"],
)
def test_any_chunks_are_what_render_draws(
    photo: Material, connected: list[str], tmp_path: Path, words: list[str], chunks: list[str]
) -> None:
    assert main(["render", *photo.words(*words, *connected), "--output", str(tmp_path / "whole")]) == 0
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*words, *connected)]) == 0
    for chunk in chunks:
        assert job_render(tmp_path / "job", "--frames", chunk, *connected) == 0
    assert signed_frames(tmp_path / "job" / "frames") == signed_frames(tmp_path / "whole")
    assert main(["job", "verify", str(tmp_path / "job")]) == 0


def test_nothing_outside_the_folder_is_needed(
    photo: Material, connected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of it is drawn by one machine, the rest by another; landmarks that are not given are found as it is written."""
    for file in (photo.source, photo.track):
        shutil.copy(file, tmp_path)
    given = ["--reference", tmp_path / photo.source.name, "--track", tmp_path / photo.track.name]
    words = [*map(str, given), *connected]
    assert main(["render", *words, "--output", str(tmp_path / "whole")]) == 0
    assert main(["job", "write", str(tmp_path / "job"), *words]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Job: {tmp_path / 'job'}"
    for path, content in contents(tmp_path / "job").items():
        assert str(tmp_path).encode() not in content, path
    (tmp_path / photo.source.name).unlink()
    (tmp_path / photo.track.name).unlink()
    assert job_render(tmp_path / "job", "--frames", f"{FIRST}-9", *connected) == 0
    elsewhere = shutil.copytree(tmp_path / "job", tmp_path / "elsewhere" / "copy")
    shutil.rmtree(tmp_path / "job")
    drawn = {path.name: path.stat().st_ino for path in (elsewhere / "frames").iterdir()}
    assert job_render(elsewhere, *connected) == 0
    assert signed_frames(elsewhere / "frames") == signed_frames(tmp_path / "whole")
    assert all((elsewhere / "frames" / name).stat().st_ino == node for name, node in drawn.items()), "drawn again"


def test_several_faces_are_drawn_as_render_draws_them(connected: list[str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "two.png"), two_people(False)[0][..., ::-1])
    words = ["--reference", str(tmp_path / "two.png")]
    for face in ("1", "2"):
        track = tmp_path / f"{face}.npz"
        found = ["landmarks", str(tmp_path / "two.png"), "--output", str(track), "--detector", "mediapipe"]
        assert main([*found, "--face", face]) == 0
        rest = LandmarkTrack.load(track)
        points = np.concatenate([rest.points, rest.points + np.float32([3, 2, 0])])
        LandmarkTrack(points, rest.size, 24, body=np.float32([[1, 0], [0.5, float(face) / 4]])).save(track)
        words += ["--face", face, "--track", str(track)]
    assert main(["render", *words, *connected, "--output", str(tmp_path / "whole")]) == 0
    assert main(["job", "write", str(tmp_path / "job"), *words, *connected]) == 0
    assert len(FarmJob.load(tmp_path / "job").request.reference_points) == 2
    for number in ("2", "1"):
        assert job_render(tmp_path / "job", "--frames", number, *connected) == 0
    assert signed_frames(tmp_path / "job" / "frames") == signed_frames(tmp_path / "whole")


def test_every_option_of_render_goes_into_a_job_or_its_rendering() -> None:
    def options(add: Callable[[argparse.ArgumentParser], None]) -> set[str]:
        parser = argparse.ArgumentParser()
        add(parser)
        return {word for action in parser._actions for word in action.option_strings}

    writing, rendering = (options(job._ACTIONS[name][1]) for name in ("write", "render"))
    assert options(render.add_arguments) - writing == {"--output", "--again", "--progress", "--recognised"} <= rendering
    assert {"--frames", "--device", "--connect"} <= rendering


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--layers", "rgba"], "no layers"),
        (["--frames", "99"], "frame 99 is not in it"),
        (["--face", "1", "--face", "2"], "2 faces but 1 tracks"),
        (["--plate-points", "points.npz"], "--plate-points are of a --plate"),
    ],
)
def test_what_cannot_be_drawn_is_refused_when_it_is_written(
    photo: Material, connected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: list[str], named: str,
) -> None:  # fmt: skip
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*words, *connected)]) == 1
    assert named in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_job_is_written_whole_or_not_at_all(
    photo: Material, connected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(source: Path, target: Path) -> str:
        if any(target.parent.iterdir()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(source, target)

    copy = inputs._copy
    monkeypatch.setattr(inputs, "_copy", full)
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*connected)]) == 1
    assert "The disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_lies_there_already_is_not_written_over(
    photo: Material, connected: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, touched = contents(folder), folder.stat().st_mtime_ns
    assert main(["job", "write", str(folder), *photo.words(*connected)]) == 0, "the same one"
    assert main(["job", "write", str(folder), *photo.words("--matte", *connected)]) == 1
    assert f"{folder} holds another job" in capsys.readouterr().err
    assert contents(folder) == before and folder.stat().st_mtime_ns == touched, "it may be one that nobody may write to"
    name = next(iter(FarmJob.load(folder).inputs))
    (folder / name).write_bytes(b"")
    assert main(["job", "write", str(folder), *photo.words(*connected)]) == 1
    said, remedy = capsys.readouterr().err.splitlines()
    assert "another job, or a damaged one" in said and name in said and "folder that is not there yet" in remedy
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert main(["job", "write", str(other), *photo.words(*connected)]) == 1
    assert "is no job" in capsys.readouterr().err and contents(other) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("name", ["empty", "link", "."])
def test_an_empty_folder_becomes_the_job(
    photo: Material, connected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "link").symlink_to(empty)
    monkeypatch.chdir(empty if name == "." else tmp_path)
    assert main(["job", "write", name, *photo.words(*connected)]) == 0
    assert FarmJob.load(empty).frames == tuple(range(FIRST, LAST + 1))
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "link"}
    assert not [path for path in empty.iterdir() if path.name.startswith(".")]


def rewritten(folder: Path, **told: object) -> None:
    """The job's file with other values, as another program would have written it."""
    file = folder / "job.json"
    content = {**json.loads(file.read_text()), **told}
    content["digest"] = farm_digest({name: value for name, value in content.items() if name != "digest"})
    file.write_text(json.dumps(content))


def farm_digest(told: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"version": 2}, "is of version 2 of jobs"),
        ({"release": "9.9.9"}, "was written by Talking Portraits 9.9.9"),
        ({"release": "9.9.9", "settings": {"unheard": "of"}}, "was written by Talking Portraits 9.9.9"),
        ({"engine": {"name": "warp", "fingerprint": "warp-0"}}, "was written for the engine warp (warp-0)"),
        ({"engine": {"name": "unheard", "fingerprint": "1"}}, "There is no engine named 'unheard'"),
        ({"frames": {"7": "0" * 64}}, "Here other frames would be drawn"),
        ({"format": "something"}, "is no job's"),
        ({"inputs": {"inputs/../../../etc/passwd": {"sha256": "0" * 64, "bytes": 1}}}, "does not hold what"),
        ({"inputs": [1]}, "does not hold what"),
    ],
)
def test_jobs_of_others_are_refused(
    folder: Path, connected: list[str], capsys: pytest.CaptureFixture[str], told: dict[str, object], said: str
) -> None:
    rewritten(folder, **told)
    assert job_render(folder, *connected) == 1
    words = capsys.readouterr().err.splitlines()
    assert said in words[0] and words[1].strip(), words
    assert not (folder / "frames").exists()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("source", "tracks"), []),
        (("source", "tracks"), None),
        (("source", "tracks", 0), ["inputs"]),
        (("source", "references"), None),
        (("source", "references"), "inputs"),
        (("source", "reference_points"), None),
        (("source", "plate"), "inputs"),
        (("source", "personal"), "../../etc/passwd"),
        (("source", "faces"), [[]]),
        (("source", "faces"), "x"),
        (("settings", "size"), float("nan")),
        (("settings", "size"), [1e9, -1]),
        (("settings", "size"), "large"),
        (("settings", "matte"), ""),
        (("settings", "depth"), 8.0),
        (("settings", "layers"), ["rgba", None]),
        (("settings", "photo_digest"), "/etc/passwd"),
        (("engine", "fingerprint"), {}),
        (("size",), [0, 16]),
        (("frames",), {}),
        (("frames",), {"01": "0" * 64}),
        (("frames",), {"1": ""}),
    ],
)
def test_a_field_that_is_not_of_its_kind_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], place: tuple[str | int, ...], value: object
) -> None:
    told = json.loads((folder / "job.json").read_text())
    within = told
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    rewritten(folder, **told)
    assert job_render(folder) == 1
    assert "does not hold what a job needs" in capsys.readouterr().err


def test_an_input_is_named_by_its_content(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads((folder / "job.json").read_text())
    name = next(iter(told["inputs"]))
    told["inputs"][name]["sha256"] = "0" * 64
    rewritten(folder, **told)
    assert job_render(folder) == 1
    assert "does not hold what a job needs" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="Windows has no endless file")
def test_an_input_that_never_ends_is_not_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads((folder / "job.json").read_text())
    sha256 = hashlib.sha256().hexdigest()
    told["inputs"][f"inputs/{sha256}"] = {"sha256": sha256, "bytes": 0}
    rewritten(folder, **told)
    (folder / "inputs" / sha256).symlink_to("/dev/zero")
    assert job_render(folder) == 1
    assert f"{sha256}, of which the job is made, cannot be read" in capsys.readouterr().err


def test_no_frames_go_among_the_inputs(folder: Path, capsys: pytest.CaptureFixture[str], connected: list[str]) -> None:
    before = contents(folder)
    for output in (folder / "inputs", folder / "inputs" / "frames"):
        assert job_render(folder, "--output", output, *connected) == 1
        assert f"{output} is where the job's inputs lie" in capsys.readouterr().err
    assert contents(folder) == before


def test_a_job_of_this_release_is_told_from_one_that_was_touched(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = FarmJob.load(folder)
    assert (loaded.release, loaded.name, loaded.size, loaded.frames) == (
        __version__, "job", (160, 160), tuple(range(FIRST, LAST + 1)),
    )  # fmt: skip
    file = folder / "job.json"
    file.write_text(file.read_text().replace('"matte": false', '"matte": true'))
    assert job_render(folder) == 1
    assert f"{file} has been altered" in capsys.readouterr().err
    file.write_bytes(file.read_bytes()[:-50])
    assert job_render(folder) == 1
    assert f"{file} is damaged" in capsys.readouterr().err
    file.unlink()
    assert job_render(folder) == 1
    assert f"There is no job in {folder}" in capsys.readouterr().err


def test_an_input_that_was_touched_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in FarmJob.load(folder).inputs:
        path = folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        for damaged in (bytes(content), bytes(content[:-1])):
            path.write_bytes(damaged)
            assert job_render(folder) == 1
            assert f"{path}, of which the job is made, has been altered" in capsys.readouterr().err
        path.unlink()
        assert job_render(folder) == 1
        assert f"{path}, of which the job is made, cannot be read" in capsys.readouterr().err
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_a_server_of_another_release_writes_no_job(
    photo: Material, connected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(writing, "__version__", "9.9.9")
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*connected)]) == 1
    assert "this is 9.9.9" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_server_of_another_release_does_not_draw(
    folder: Path, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm_job, "__version__", "9.9.9")  # this machine's release; that of the server is another
    rewritten(folder, release="9.9.9")
    with pytest.raises(PortraitError) as caught, JobWorker(FarmJob.load(folder), connect=Path(connected[1])):
        pass
    assert caught.value.code is ErrorCode.VERSION_MISMATCH
    assert caught.value.message == f"The server is of Talking Portraits {__version__}, the job of 9.9.9."


def test_a_chunk_beyond_the_range_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("render", "verify"):
        assert main(["job", action, str(folder), "--frames", f"{LAST}-{LAST + 2}"]) == 1
        assert f"the frames {FIRST}-{LAST}; {LAST + 1}-{LAST + 2} are not among them" in capsys.readouterr().err


def test_two_workers_draw_the_same_frames_at_once(folder: Path, connected: list[str]) -> None:
    words = [sys.executable, "-m", "portrait_server", "job", "render", str(folder), "--again", *connected]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(len(lines) == COUNT for lines in said)
    assert len(signed_frames(folder / "frames")) == COUNT, "something was left behind"
    assert main(["job", "verify", str(folder)]) == 0
    drawn = contents(folder / "frames")
    assert job_render(folder, "--again", *connected) == 0
    assert contents(folder / "frames") == drawn


def test_whoever_draws_the_last_chunk_signs_and_none_signs_before(
    folder: Path, connected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    manifest = folder / "frames" / "frames.c2pa"
    assert job_render(folder, "--frames", f"{FIRST}-9", *connected) == 0 and not manifest.exists()
    monkeypatch.setenv("TALKING_PORTRAITS_SIGNING", str(folder / "job.json" / "none"))
    assert job_render(folder, *connected) == 0 and not manifest.exists()
    assert "Unsigned: " in capsys.readouterr().err, "frames are there all the same"
    monkeypatch.setenv("TALKING_PORTRAITS_SIGNING", str(tmp_path / "signing"))
    assert job_render(folder, "--frames", str(LAST), *connected) == 0
    assert len(signed_frames(folder / "frames")) == COUNT
    node = manifest.stat().st_ino
    assert job_render(folder, "--frames", str(LAST), *connected) == 0 and manifest.stat().st_ino == node
    (folder / "frames" / f"{LAST:04d}.png").unlink()
    assert job_render(folder, "--frames", f"{LAST}", *connected) == 0
    assert len(signed_frames(folder / "frames")) == COUNT
    assert not list((folder / "frames").glob(".*"))


def test_a_jobs_statement_is_the_one_that_it_was_written_with(
    photo: Material, connected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agreed = Consent(
        Ground.WRITTEN, "Anna", document="d" * 64, until="2020-01-01", recorded="2019-01-01", salt="1" * 32
    )
    agreed.save(tmp_path / "anna.json")
    words = photo.words("--consent", tmp_path / "anna.json", "--thumbnails", *connected)
    assert main(["job", "write", str(tmp_path / "job"), *words]) == 0
    assert "ended on 1 January 2020" in capsys.readouterr().err
    assert b"Anna" not in (tmp_path / "job" / "job.json").read_bytes()
    (tmp_path / "anna.json").unlink()
    assert job_render(tmp_path / "job", *connected) == 0
    told = read_sequence(tmp_path / "job" / "frames" / "frames.c2pa")
    statement = FarmJob.load(tmp_path / "job").statement
    assert told is not None and statement is not None and told[0].statement == statement
    assert statement.consents == (agreed.public,) and statement.sources[0].thumbnail and statement.watermark is not None
    assert main(["job", "write", str(tmp_path / "off"), *photo.words("--no-credentials", *connected)]) == 0
    assert job_render(tmp_path / "off", *connected) == 0 and not (tmp_path / "off" / "frames" / "frames.c2pa").exists()
    assert main(["job", "write", str(tmp_path / "two"), *photo.words(*["--consent", "none.json"] * 2, *connected)]) == 1
    assert "2 records of consent" in capsys.readouterr().err


def test_a_worker_that_is_killed_costs_the_frame_in_hand(folder: Path, connected: list[str]) -> None:
    words = [sys.executable, "-m", "portrait_server", "job", "render", str(folder), *connected]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline().startswith("Saved: ")
    process.kill()
    process.communicate()
    (folder / "frames" / f"{LAST:04d}.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")  # as a program without care leaves it
    with JobWorker(FarmJob.load(folder), connect=Path(connected[1])) as worker:
        stored = list(worker.render(range(FIRST, LAST + 1)))
    assert sorted(frame.number for frame in stored) == list(range(FIRST, LAST + 1))
    assert not all(frame.drawn for frame in stored) and stored[-1].drawn
    assert main(["job", "verify", str(folder)]) == 0


def test_frames_come_as_bytes_where_no_folder_is_shared(folder: Path, connected: list[str]) -> None:
    with JobWorker(FarmJob.load(folder), connect=Path(connected[1])) as worker:
        sent = dict(worker.render_bytes([9, 8]))
        assert not (folder / "frames").exists()
        paths = {frame.number: frame.path for frame in worker.render([8, 9])}
        with pytest.raises(PortraitError) as caught:
            next(worker.render_bytes([LAST + 1]))
    assert caught.value.code is ErrorCode.BAD_TRACK
    assert sent == {number: path.read_bytes() for number, path in paths.items()}
    mark = read_mark(paths[8])
    assert mark is not None and mark.release == __version__
