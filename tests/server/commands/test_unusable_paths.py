# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that the system itself refuses, in every command: one sentence, and nothing is waited for or lost."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from portrait_server.cli import main
from portrait_server.commands import adapt as adapt_command
from portrait_server.media.images import is_picture
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole
from portrait_shared.frames.frame_files import frame_path, frames_in, own_frames
from portrait_shared.frames.frame_marks import glance

needs_pipes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
TOO_LONG = "n" * 300


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"portrait {arguments[0]}: ") and "Traceback" not in said and len(said) < 1000
    return said


READERS = {
    "landmarks": ["landmarks", "PATH", "--output", "t.npz"],
    "visemes": ["visemes", "PATH", "--output", "v.json"],
    "evaluate": ["evaluate", "PATH", "--output", "report"],
    "corpus": ["corpus", "build", "photos", "PATH", "--output", "corpus"],
    "render": ["render", "--reference", "PATH", "--track", "PATH", "--output", "out"],
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("kind", ["too long", "a link to itself", pytest.param("a pipe", marks=needs_pipes)])
def test_what_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(TOO_LONG if kind == "too long" else "asked.mp4")
    if kind == "a link to itself":
        path.symlink_to(path)
    elif kind == "a pipe":
        os.mkfifo(path)
    before = sorted(os.listdir())
    refusal([str(path) if word == "PATH" else word for word in READERS[command]], capsys)
    assert sorted(os.listdir()) == before


WRITERS = {
    "demo": ["demo", "--output", "PATH"],
    "serve": ["serve", "--connection-file", "PATH"],
    "keys": ["serve", "--new-keys", "PATH", "--bind", "tcp://127.0.0.1:5599"],
    "landmarks": ["landmarks", "photo.png", "--output", "PATH"],
}


@pytest.mark.parametrize("command", WRITERS)
def test_what_cannot_be_written_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("photo.png")
    for path in (TOO_LONG, "photo.png/x/y"):
        refusal([path if word == "PATH" else word for word in WRITERS[command]], capsys)
    assert os.listdir() == ["photo.png"]


@needs_pipes
@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "a link to a folder"])
def test_no_file_takes_the_place_of_what_is_none(tmp_path: Path, kind: str) -> None:
    """The system's administrator could replace /dev/null so."""
    place, pipe = tmp_path / "track.npz", tmp_path / "pipe"
    os.mkfifo(place if kind == "a pipe" else pipe)
    if kind != "a pipe":
        place.symlink_to(pipe if kind == "a link to a pipe" else tmp_path)
    before = os.lstat(place)
    with pytest.raises(PortraitError) as caught:
        write_whole(place, b"track")
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert os.path.samestat(os.lstat(place), before)


@needs_pipes
def test_a_pipe_among_pictures_and_frames_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(frame_path(tmp_path, 1))
    assert is_picture(frame_path(tmp_path, 1))  # by its name
    assert glance(frame_path(tmp_path, 1)) is None
    assert frames_in(tmp_path) == [1] and own_frames(tmp_path, "") == []


def test_a_folder_in_the_place_of_a_personal_file_is_told_before_tuning(tmp_path: Path) -> None:
    (tmp_path / "her.safetensors").mkdir()
    nothing = str(tmp_path / "no photo.png")  # which would be missed next
    with pytest.raises(PortraitError, match=r"Cannot write .*her\.safetensors"):
        adapt_command.run(argparse.Namespace(output=tmp_path / "her", photos=[nothing], weights=tmp_path / "none"))
