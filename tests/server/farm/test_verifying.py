# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of frames is told by their hashes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.inputs import InputFile
from portrait_server.media.exr import encode_exr
from portrait_server.media.png import encode_png
from portrait_shared import __version__
from portrait_shared.frames.frame_files import frame_path

FRAMES = range(-1, 9)
PIXELS = np.random.default_rng(3).integers(0, 255, (40, 30, 4), np.uint8)


def digest(number: int) -> str:
    return f"{number + 1:064x}"


def encoded(suffix: str, number: int, device: str = "cpu x86-64 AVX2") -> bytes:
    if suffix == ".png":
        return encode_png(PIXELS, digest(number), "warp", device)
    return encode_exr(PIXELS.astype(np.float32), ("rgba",), "rec709", digest(number), "warp", device)


@pytest.fixture(params=[".png", ".exr"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def job(tmp_path: Path, suffix: str) -> FarmJob:
    """One whose frames are all there; of what they were drawn is not, and need not be."""
    folder = tmp_path / "job"
    track, photo = Path("inputs", f"{'1' * 64}.npz"), Path("inputs", f"{'2' * 64}.png")
    request = FrameRequest((track,), (photo,), layers=("rgba",) if suffix == ".exr" else ())
    inputs = {path.as_posix(): InputFile(path.stem, 1) for path in (track, photo)}
    job = FarmJob(folder, request, "warp", "warp-1", {number: digest(number) for number in FRAMES}, inputs, (30, 40))
    job.default_output.mkdir(parents=True)
    (folder / "job.json").write_bytes(job.content)
    for number in FRAMES:
        device = "cuda NVIDIA H200" if number == 8 else "cpu x86-64 AVX2"
        frame_path(job.default_output, number, suffix=suffix).write_bytes(encoded(suffix, number, device))
    return job


def test_each_frame_is_told(job: FarmJob, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "verify", str(job.folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"valid: -1-7 (9), by cpu x86-64 AVX2 ({__version__})", f"valid: 8 (1), by cuda NVIDIA H200 ({__version__})",
    ]  # fmt: skip
    paths = {number: frame_path(job.default_output, number, suffix=suffix) for number in FRAMES}
    whole = encoded(suffix, 3)
    paths[-1].unlink()
    os.utime(paths[1], (0, 0))  # as if another clock had written it
    paths[2].write_bytes(b"")
    paths[3].write_bytes(whole[: len(whole) // 2])
    paths[4].write_bytes(whole[:6])
    paths[5].write_bytes(whole[:-60] + bytes([whole[-60] ^ 1]) + whole[-59:])
    paths[6].write_bytes(b"some text")
    paths[7].write_bytes(whole)
    assert main(["job", "verify", str(job.folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {frame["frame"]: frame["state"] for frame in told["frames"]} == {
        -1: "missing", 0: "valid", 1: "valid", 2: "half-written", 3: "half-written", 4: "half-written", 5: "altered",
        6: "altered", 7: "stale", 8: "valid",
    }  # fmt: skip
    assert told["counts"] == {"valid": 3, "missing": 1, "half-written": 3, "altered": 2, "stale": 1}
    assert not told["valid"] and told["digest"] == job.digest
    assert told["frames"][-1] == {
        "frame": 8, "state": "valid", "file": f"0008{suffix}", "device": "cuda NVIDIA H200", "release": __version__,
    }  # fmt: skip


def test_other_folders_and_some_frames(
    job: FarmJob, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert main(["job", "verify", str(job.folder), "--output", str(elsewhere)]) == 1
    elsewhere.mkdir()
    for number in (0, 3):
        frame_path(elsewhere, number, suffix=suffix).write_bytes(encoded(suffix, number))
    words = ["job", "verify", str(job.folder), "--output", str(elsewhere), "--frames"]
    assert main([*words, "0,3"]) == 0
    assert main([*words, "0-3"]) == 1
    frame_path(elsewhere, 1, suffix=suffix).mkdir()
    frame_path(elsewhere, 2, suffix=suffix).symlink_to(frame_path(elsewhere, 2, suffix=suffix))
    assert main([*words, "1-2"]) == 1
    assert "altered: 1-2" in capsys.readouterr().out


def test_frames_of_another_kind_of_file_are_missing(job: FarmJob, suffix: str) -> None:
    path = frame_path(job.default_output, 0, suffix=suffix)
    path.rename(path.with_suffix(".tif"))
    assert main(["job", "verify", str(job.folder)]) == 1
