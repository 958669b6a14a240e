# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait verify` says in words, in JSON and by its status what files are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.commands.verify import STATUS_TELLS_NOTHING
from portrait_server.media.png import encode_png
from portrait_server.provenance.keys import SIGNING_VARIABLE, signing_key
from portrait_server.provenance.signing import sign_file
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.statement import Source, SourceKind, Statement

PICTURE = np.full((16, 24, 3), 120, np.uint8)
STATEMENT = Statement("warp", "warp-1", False, (Source(SourceKind.REFERENCE, "b" * 64),))


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of twelve unsigned frames."""
    monkeypatch.setenv(SIGNING_VARIABLE, str(tmp_path / "signing"))
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 13):
        frame_path(folder, number).write_bytes(encode_png(PICTURE, f"{number:064x}", "warp"))
        os.utime(frame_path(folder, number), (1_796_000_000, 1_796_000_000))
    return folder


def test_frames_alike_are_told_in_one_line(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(frames)]) == 0
    (line, summary) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{frames / '0001.png'} to 0012.png (12 frames): Made with Talking Portraits ")
    assert (
        "by the engine warp (its file is of 30 November 2026); its pixels were not altered since." in line
        and "unsigned" in line
    )
    assert summary == "12 files: 12 made with Talking Portraits and not altered since."


def test_the_status_is_the_worst_that_was_found(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (frames / "notes.jpg").write_text("no picture")
    assert main(["verify", str(frames)]) == STATUS_TELLS_NOTHING == 2
    one = frame_path(frames, 5)
    one.write_bytes(one.read_bytes()[:-30])
    capsys.readouterr()
    assert main(["verify", str(frames), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == 1 and told["counts"] == {"unaltered": 11, "altered": 1, "unreadable": 1}
    assert [Path(file["file"]).name for file in told["files"]][:2] == ["0001.png", "0002.png"]
    assert [file["finding"] for file in told["files"]].index("altered") == 4


def test_what_is_signed_is_told_with_its_signer(
    frames: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = frame_path(frames, 1)
    sign_file(one, STATEMENT)
    root = frames / "root.pem"
    root.write_bytes(signing_key().certificates)
    monkeypatch.setenv(SIGNING_VARIABLE, str(frames / "another computer's"))
    assert main(["verify", str(one), "--json", "--trust", str(root)]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["signed"] and file["signer_known"] and file["time"].endswith("Z")
    assert file["statement"]["sources"] == [{"kind": "reference", "digest": "b" * 64, "hashed": "pixels"}]
    assert main(["verify", str(frame_path(frames, 2)), "--trust", str(root)]) == 2


def test_files_come_from_a_list_and_their_count_is_told(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = frames / os.fsdecode(b"caf\xe9 0001.png")
    frame_path(frames, 1).rename(odd)
    (frames / "list.txt").write_bytes(b"\n".join(os.fsencode(path) for path in (odd, frame_path(frames, 2))) + b"\n")
    assert main(["verify", "--files-from", str(frames / "list.txt"), "--progress"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Progress")] == ["Progress: 1/2", "Progress: 2/2"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_files_name_moves_no_cursor_and_adds_no_line(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame_path(frames, 1).rename(odd := frames / "x\n0002.png: fine\x1b[2K.png")
    assert main(["verify", str(odd), str(frames / "gone\x1b[2K.png")]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(map(str.isprintable, lines))


@pytest.mark.parametrize(
    "asked", [[], ["--files-from", "gone"], ["x.png", "--trust", "gone"], ["x.png", "--trust", "."]]
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", *asked]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("portrait verify: ") and not said.out


def test_a_folder_without_pictures_tells_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path), str(tmp_path / ("n" * 300)), str(tmp_path / "a\udce9.png")]) == 2
    assert "No pictures or films lie in this folder" in capsys.readouterr().out
