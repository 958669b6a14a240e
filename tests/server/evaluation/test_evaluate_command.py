# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait evaluate` on a clip whose frames are known: what it finds, writes and refuses."""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from portrait_server.commands.evaluate import add_arguments, run
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.evaluation import clips
from portrait_server.evaluation.clips import Clip
from portrait_server.evaluation.metrics import MOST_PSNR
from portrait_server.evaluation.report import COLUMNS
from portrait_server.media.images import read_image
from portrait_server.networks import painters
from portrait_server.tuning import search
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PERSONAL_FORMAT
from portrait_shared.track import LandmarkTrack

from tests.server.evaluation.conftest import Still
from tests.server.networks.conftest import shaken_painters
from tests.server.video_files import write_video

pytestmark = pytest.mark.usefixtures("engines")
ERRORS = ("l1", "face", "mouth", "eyes", "id", "lmk", "flicker")


def evaluate(*words: object) -> dict[str, Any]:
    """The figures that the command writes."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    asked = parser.parse_args([*map(str, words), "--device", "cpu"])
    assert run(asked) == 0
    return json.loads((asked.output / "figures.json").read_text())


def means(figures: dict[str, Any], trial: str = "self") -> dict[str, float]:
    (row,) = [row for row in figures["means"] if row["trial"] == trial and not row["tuned"]]
    return row["figures"]


def refusal(code: ErrorCode, *words: object) -> str:
    with pytest.raises(PortraitError) as caught:
        evaluate(*words)
    assert caught.value.code is code
    assert caught.value.remedy
    return caught.value.message


def test_a_perfect_engine(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    found = means(evaluate(save_clip(clip), "--output", tmp_path, "--references", 1, "--engine", "perfect"))
    assert {column: found[column] for column in ERRORS} == dict.fromkeys(ERRORS, 0)
    assert (found["ssim"], found["psnr"]) == (1, MOST_PSNR)
    assert found["fps"] > 0


def test_moving_beats_standing_still(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    folder = save_clip(clip)
    still, warp = (
        means(evaluate(folder, "--output", tmp_path / engine, "--references", 1, "--engine", engine))
        for engine in ("still", "warp")
    )
    for column in ERRORS:
        assert warp[column] < still[column], column
    for column in ("ssim", "psnr"):
        assert warp[column] > still[column], column
    assert warp["face"] < still["face"] / 2
    assert warp["lmk"] < still["lmk"] / 4


def test_the_figures_file(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    save_clip(clip, "a")
    save_clip(clip, "b")
    found = evaluate(
        tmp_path / "clips", "--output", tmp_path, "--references", "4,1", "--frames", 8, "--cross", "--engine", "still"
    )
    assert {key: found[key] for key in ("format", "engine", "fingerprint", "device", "references", "most_frames")} == {
        "format": 1, "engine": "still", "fingerprint": "still-1", "device": "cpu", "references": [1, 4],
        "most_frames": 8,
    }  # fmt: skip
    assert set(found["left_out"]) == {"fid", "lpips"}
    keys = {"trial", "clip", "driver", "references", "tuned", "frames", "figures"}
    assert all(set(row) == keys for row in found["clips"] + found["means"])
    assert [(row["trial"], row["clip"], row["driver"], row["references"]) for row in found["clips"]] == [
        ("self", "a", "a", 1), ("cross", "a", "b", 1), ("self", "a", "a", 4), ("cross", "a", "b", 4),
        ("self", "b", "b", 1), ("cross", "b", "a", 1), ("self", "b", "b", 4), ("cross", "b", "a", 4),
    ]  # fmt: skip
    for row in found["clips"]:
        assert set(row["figures"]) == set(COLUMNS if row["trial"] == "self" else ("id", "lmk", "fps"))
        assert all(isinstance(figure, float) for figure in row["figures"].values())
    mean = found["means"][0]
    assert (mean["trial"], mean["references"], mean["frames"]) == ("self", 1, 8)
    alone = [row["figures"]["l1"] for row in found["clips"] if row["trial"] == "self" and row["references"] == 1]
    assert mean["figures"]["l1"] == pytest.approx(np.mean(alone))
    # Of each clip: real, and for each count its own motion; the driver, and for each count the other's motion.
    assert read_image(tmp_path / "contact_sheet.png").shape == (2 * 6 * 178, 8 * 160, 3)


def test_motion_of_another_is_followed(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    """The other's clip is the same person's, so that the perfect frames are known."""
    save_clip(clip, "a")
    save_clip(clip, "b")
    perfect, still = (
        means(
            evaluate(tmp_path / "clips", "--output", tmp_path, "--references", 1, "--cross", "--engine", engine),
            "cross",
        )
        for engine in ("perfect", "still")
    )
    assert perfect["lmk"] < 2.0
    assert still["lmk"] > 2 * perfect["lmk"]
    assert perfect["id"] < 0.1 < still["id"], "dlib looks where the face should be"


def test_the_table(
    clip: Clip, save_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(save_clip(clip), "--output", tmp_path, "--references", 1, "--engine", "still")
    said = capsys.readouterr().out.splitlines()
    heading = next(line for line in said if line.startswith("Self-reenactment"))
    assert [column for column in COLUMNS if f" {column}" in heading] == list(COLUMNS)
    row = next(line for line in said if line.startswith("astronaut")).split()
    assert row[1:4] == ["1", "feed-forward", "8"]
    assert row[4] == f"{found['clips'][0]['figures']['l1']:.4f}"
    assert any(line.startswith("Left out: fid: ") for line in said)
    assert said[-2:] == [f"Saved: {tmp_path / name}" for name in ("figures.json", "contact_sheet.png")]


def test_without_dlib(
    clip: Clip, save_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    found = evaluate(save_clip(clip), "--output", tmp_path, "--references", 1, "--engine", "still")
    assert not {"id", "lmk"} & set(means(found))
    assert "pip install dlib-bin" in found["left_out"]["id"]
    assert set(means(found)) == set(COLUMNS) - {"id", "lmk"}


def test_tuning_has_rows_of_its_own(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    known = {"frames": np.stack(clip.frames), "points": np.ascontiguousarray(clip.points)}
    person = tmp_path / "person.safetensors"
    person.write_bytes(safetensors.numpy.save(known, {"format": PERSONAL_FORMAT}))
    folder = save_clip(clip)
    words = (folder, "--output", tmp_path, "--references", 1, "--personal", person)
    before, tuned = evaluate(*words, "--engine", "still")["means"]
    assert (before["tuned"], tuned["tuned"]) == (False, True)
    assert tuned["figures"]["l1"] == 0 < before["figures"]["l1"]
    assert "'warp'" in refusal(ErrorCode.UNKNOWN_ENGINE, *words, "--engine", "warp")
    refusal(ErrorCode.FILE_MISSING, folder, "--output", tmp_path, "--engine", "still", "--personal", tmp_path / "no")


def test_tuning_to_each_clip_by_its_references(
    clip: Clip, save_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Painters that paint badly draw these clips better after a short tuning, for one reference and for two."""
    painters.save(shaken_painters(), tmp_path / "tiny.safetensors", "made by chance")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "tiny.safetensors"))
    effort = search.Effort(steps=12, batch_size=4, rate=5e-3, measure_every=12, pairs=12, measured=4)
    monkeypatch.setattr(search, "tune_painters", functools.partial(search.tune_painters, effort=effort))
    words = (save_clip(clip), "--output", tmp_path, "--references", "1,2", "--engine", "fewshot")
    found = evaluate(*words, "--tuned")
    assert [(row["references"], row["tuned"], row["frames"]) for row in found["clips"]] == [
        (1, False, 7), (1, True, 7), (2, False, 7), (2, True, 7),
    ]  # fmt: skip
    for before, tuned in (found["clips"][:2], found["clips"][2:]):
        assert tuned["figures"]["l1"] < before["figures"]["l1"]
    assert [(t["clip"], t["references"], t["photographs"], t["kept"]) for t in found["tunings"]] == [
        ("astronaut", 1, 1, True), ("astronaut", 2, 2, True),
    ]  # fmt: skip
    assert all(t["seconds"] > 0 and t["after"]["score"] < t["before"]["score"] for t in found["tunings"])
    # The real frames, and feed-forward and tuned for each number of references.
    assert read_image(tmp_path / "contact_sheet.png").shape == (5 * 178, 8 * 160, 3)
    refusal(ErrorCode.UNKNOWN_ENGINE, *words[:-1], "warp", "--tuned")
    with pytest.raises(SystemExit):
        evaluate(*words, "--tuned", "--personal", tmp_path / "her.safetensors")


def test_refusals(clip: Clip, save_clip: Callable[..., Path], tmp_path: Path) -> None:
    folder = save_clip(clip)
    out = ("--output", tmp_path / "out")
    refusal(ErrorCode.FILE_MISSING, tmp_path / "nowhere", *out)
    refusal(ErrorCode.UNKNOWN_ENGINE, folder, *out, "--engine", "magic")
    assert "--cross" in refusal(ErrorCode.BAD_TRACK, folder, *out, "--references", 1, "--cross", "--engine", "still")
    assert "32 references" in refusal(ErrorCode.BAD_TRACK, folder, *out, "--engine", "still")
    assert not (tmp_path / "out" / "figures.json").exists()
    (tmp_path / "file").write_text("in the way")
    refusal(ErrorCode.OUTPUT_NOT_WRITABLE, folder, "--output", tmp_path / "file")


def _too_short(folder: Path) -> None:
    track = LandmarkTrack.load(folder / "track.npz")
    LandmarkTrack(track.points, track.size, extra={"detected": np.arange(len(track)) == 3}).save(folder / "track.npz")


def _away(folder: Path) -> None:
    track = LandmarkTrack.load(folder / "track.npz")
    LandmarkTrack(track.points + 5000, track.size).save(folder / "track.npz")


def _truncated(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:500]) and None


@pytest.mark.parametrize("cross", [(), ("--cross",)], ids=["self", "cross"])
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_truncated("9.png"), ErrorCode.BAD_IMAGE),
        (_truncated("track.npz"), ErrorCode.BAD_TRACK),
        (lambda folder: (folder / "5.png").unlink(), ErrorCode.BAD_TRACK),
        (_too_short, ErrorCode.BAD_TRACK),
        (_away, ErrorCode.BAD_TRACK),
    ],
    ids=["frame", "track", "a frame less", "too short", "away"],
)
def test_a_bad_last_clip_is_known_before_the_first_is_rendered(
    clip: Clip, save_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None], code: ErrorCode, cross: tuple[str, ...],
) -> None:  # fmt: skip
    for name in "ab":
        save_clip(clip, name)
    spoil(save_clip(clip, "c"))
    rendered: list[int] = []
    monkeypatch.setattr(Still, "render", lambda *_: rendered.append(1))
    words = ("--output", tmp_path / "out", "--references", 1, "--engine", "still", *cross)
    refusal(code, tmp_path / "clips", *words)
    assert not rendered and not list((tmp_path / "out").iterdir())


def test_landmarks_of_a_video_are_looked_for_once(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its frames are read twice: once to know that they can be."""
    looked: list[Path] = []
    track_of_video = clips.track_of_video
    monkeypatch.setattr(clips, "track_of_video", lambda path, *more: looked.append(path) or track_of_video(path, *more))
    path = write_video(tmp_path / "moving.mp4", clip.frames)
    evaluate(path, "--output", tmp_path / "out", "--references", 1, "--engine", "still")
    assert looked == [path]


def test_half_the_cores_are_left_before_torch_is_loaded() -> None:
    """A library that waits by spinning is told otherwise only before it starts; so none is loaded by this command."""
    code = """
import argparse, os, sys
from pathlib import Path
from portrait_server.commands import evaluate as evaluate_command
from portrait_server.engines.registry import ENGINES
assert "torch" not in sys.modules
class Loaded(Exception):
    pass
def engine(device, layers):
    raise Loaded(os.environ.get("OMP_WAIT_POLICY"), sys.modules["torch"].get_num_threads())
ENGINES["fewshot"] = engine
evaluate_command.find_clips = lambda path: [path]
parser = argparse.ArgumentParser()
evaluate_command.add_arguments(parser)
asked = ["clips", "--output", "out", "--engine", "fewshot", "--device", "cpu"]
try:
    evaluate_command.run(parser.parse_args([*asked, "--tuned"]))
except Loaded as loaded:
    print(*loaded.args)
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["PASSIVE", str(max(1, (os.cpu_count() or 1) // 2))], ended.stderr


@pytest.mark.parametrize(
    "words", [("--references", "0"), ("--references", "33"), ("--references", "x"), ("--frames", "1")]
)
def test_senseless_numbers(words: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        evaluate(tmp_path, "--output", tmp_path, *words)
