# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of filmed shots: movies and sequences travel with the job, and any pieces are what `portrait render` draws."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from portrait_server.cli import main
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.worker import JobWorker
from portrait_server.networks.device import choose_device
from portrait_server.shots.reader import ShotReader
from portrait_shared import shots
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_marks import read_mark
from portrait_shared.track import LandmarkTrack

from tests.server.farm.conftest import Material
from tests.signed_frames import signed_frames

pytestmark = pytest.mark.usefixtures("without_weights")
DEVICE = ["--device", "cpu"]


@pytest.mark.parametrize(
    ("words", "chunks"),
    [
        ([], ["2,4", "1", "3,5-6"]),
        (["--format", "exr", "--layers", "rgba,forward,vector", "--frames", "1-3,6"], ["3", "1,6", "2"]),
    ],
    ids=["pictures", "layers"],
)
def test_any_chunks_are_what_render_draws(
    shot: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], chunks: list[str]
) -> None:
    assert main(["render", *shot.words(*words, *DEVICE), "--output", str(tmp_path / "whole")]) == 0
    assert main(["job", "write", str(tmp_path / "job"), *shot.words(*words, *DEVICE)]) == 0
    elsewhere = shutil.move(tmp_path / "job", tmp_path / "elsewhere")
    with JobWorker(FarmJob.load(elsewhere), device="cpu") as worker:
        for chunk in chunks[:2]:
            list(worker.render([int(number) for number in chunk.replace("-", ",").split(",")]))
    for chunk in chunks[2:]:
        assert main(["job", "render", str(elsewhere), "--frames", chunk, *DEVICE]) == 0
    assert signed_frames(elsewhere / "frames") == signed_frames(tmp_path / "whole")
    capsys.readouterr()
    assert main(["job", "verify", str(elsewhere)]) == 0
    assert ", as filmed" in capsys.readouterr().out


def test_one_of_several_sequences_keeps_its_names(shot: Material, tmp_path: Path) -> None:
    """Pictures of 16 bits, named by a pattern beside others; their hash, and so the frames', is of their names too."""
    plates = tmp_path / "plates"
    plates.mkdir()
    with ShotReader(shot.source) as frames:
        for number, frame in enumerate(frames, 1001):
            cv2.imwrite(str(plates / f"sc010.{number}.png"), frame[..., ::-1].astype("uint16") * 257 + 3)
            cv2.imwrite(str(plates / f"sc020.{number}.png"), frame[:9, :9])
    for name in ("points", "track"):
        track = LandmarkTrack.load(getattr(shot, name))
        replace(track, start=1001, extra={}).save(tmp_path / f"{name}.npz")
    words = [
        "--plate",
        plates / "sc010.####.png",
        "--plate-points",
        tmp_path / "points.npz",
        "--track",
        tmp_path / "track.npz",
    ]
    given = [*map(str, words), "--depth", "16", *DEVICE]
    assert main(["render", *given, "--output", str(tmp_path / "whole")]) == 0
    assert main(["job", "write", str(tmp_path / "job"), *given]) == 0
    shutil.rmtree(plates)
    inside = FarmJob.load(tmp_path / "job").located.plate
    assert main(["job", "render", str(tmp_path / "job"), *DEVICE, "--output", str(inside)]) == 1, "over the shot itself"
    assert sum(name.endswith(".png") for name in FarmJob.load(tmp_path / "job").inputs) == 6
    assert main(["job", "render", str(tmp_path / "job"), *DEVICE]) == 0
    assert signed_frames(tmp_path / "job" / "frames") == signed_frames(tmp_path / "whole")
    assert inside is not None
    shutil.copy(inside / "sc010.1003.png", inside / "sc010.1000.png")  # would move every frame by one
    with pytest.raises(PortraitError, match=r"sc010\.1000\.png is none of the pictures"):
        FarmJob.load(tmp_path / "job")


def test_points_that_are_not_given_are_found_when_it_is_written(shot: Material, tmp_path: Path) -> None:
    words = ["--plate", str(shot.source), "--track", str(shot.track), *DEVICE]
    assert main(["job", "write", str(tmp_path / "job"), *words]) == 0
    job = FarmJob.load(tmp_path / "job")
    assert job.request.plate_points is not None and job.is_shot
    assert len(LandmarkTrack.load(job.folder / job.request.plate_points)) == 6
    with JobWorker(job, device="cpu") as worker:
        (frame,) = worker.render([2])
    mark = read_mark(frame.path)
    assert mark is not None and mark.digest == job.digests[2] and mark.device == choose_device("cpu").kind


def test_a_frame_as_filmed_was_drawn_by_nothing(shot: Material, tmp_path: Path) -> None:
    assert main(["render", *shot.words("--frames", "1-2", *DEVICE), "--output", str(tmp_path)]) == 0
    filmed, drawn = (read_mark(tmp_path / name) for name in ("0001.png", "0002.png"))
    assert filmed is not None and (filmed.device, filmed.release) == ("", "")
    assert drawn is not None and drawn.device.startswith("cpu ") and drawn.release


@pytest.mark.parametrize("words", [["--size", "100"], ["--matte"], ["--face", "1"], ["--connect"]])
def test_what_a_shot_cannot_have_is_refused_when_it_is_written(
    shot: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["job", "write", str(tmp_path / "job"), *shot.words(*words)]) == 1
    assert f"{words[0]} does not go with --plate" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_plate_is_read_once_to_know_it(shot: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's first look at its inputs tells which shot it is, too; gigabytes are not hashed twice."""
    assert main(["job", "write", str(tmp_path / "job"), *shot.words(*DEVICE)]) == 0
    moved = shutil.move(tmp_path / "job", tmp_path / "moved")
    monkeypatch.setattr(shots, "_file_digest", lambda file: pytest.fail(f"{file} is read again"))
    with JobWorker(FarmJob.load(moved), device="cpu") as worker:
        assert [frame.number for frame in worker.render([2])] == [2]


def test_a_plate_that_was_exchanged_is_named(shot: Material, tmp_path: Path) -> None:
    assert main(["job", "write", str(tmp_path / "job"), *shot.words(*DEVICE)]) == 0
    job = FarmJob.load(tmp_path / "job")
    plate = job.located.plate
    assert plate is not None
    content = bytearray(plate.read_bytes())
    content[-9] ^= 1
    plate.write_bytes(content)
    with pytest.raises(PortraitError, match="has been altered") as caught:
        FarmJob.load(job.folder)
    assert str(plate) in caught.value.message
