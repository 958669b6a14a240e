# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait sign`, and the credentials of movies: what is said of frames is said of what is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portrait_server.cli import main
from portrait_server.media.exr import encode_exr
from portrait_server.media.images import read_image
from portrait_server.media.png import encode_png
from portrait_server.provenance.credentials import Credentials, CredentialsState
from portrait_server.provenance.keys import SIGNING_VARIABLE
from portrait_server.provenance.reading import read_credentials, read_sequence
from portrait_server.provenance.signing import sign_sequence
from portrait_shared.frames.frame_files import credentials_path, file_digest, frame_path
from portrait_shared.frames.frame_marks import marked, read_mark
from portrait_shared.statement import Source, SourceKind, Statement

PHOTO = "b" * 64
STATED = Statement("warp", "warp-1", False, (Source(SourceKind.REFERENCE, PHOTO),), watermark=7)


@pytest.fixture(autouse=True)
def signing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("signing")
    monkeypatch.setenv(SIGNING_VARIABLE, str(folder))
    return folder


def pixels(number: int, channels: int = 3, depth: int = 8) -> np.ndarray:
    image = np.random.default_rng(number).integers(0, 256, (32, 48, channels))
    return image.astype(np.uint8) if depth == 8 else (image * 256 + 3).astype(np.uint16)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of three frames, not signed."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2, 3):
        content = encode_png(pixels(number), f"{number}" * 64, "warp", "cpu")
        frame_path(folder, number).write_bytes(marked(content, PHOTO))
    return folder


@pytest.fixture
def signed_frames(frames: Path) -> Path:
    hashes = {path.name: file_digest(path.read_bytes()) for path in frames.iterdir()}
    credentials_path(frames).write_bytes(sign_sequence(STATED, hashes))
    return frames


def valid(path: Path) -> Credentials:
    found = read_credentials(path)
    assert found is not None and (found.state, found.why) == (CredentialsState.VALID, "") and found.ours and found.known
    return found


def test_a_folder_gets_one_signature_for_all_its_frames(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in frames.iterdir()}
    assert main(["sign", str(frames)]) == 0
    assert capsys.readouterr().out == f"Signed: {frames / 'frames.c2pa'}\n"
    found = read_sequence(frames / "frames.c2pa")
    assert found is not None and found[0].state is CredentialsState.VALID
    assert found[1] == {name: file_digest(content) for name, content in before.items()}
    stated = found[0].statement
    assert stated is not None and (stated.engine, stated.networks) == ("warp", False)
    assert stated.sources == (Source(SourceKind.REFERENCE, PHOTO),) and stated.consents == ({"ground": "none"},)


def test_a_folder_with_an_altered_frame_is_not_signed(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(frame_path(frames, 2).read_bytes())
    Image.fromarray(pixels(9)).save(frame_path(frames, 2))
    assert main(["sign", str(frames)]) == 1
    assert "0002.png was altered since" in capsys.readouterr().err and not (frames / "frames.c2pa").exists()
    frame_path(frames, 2).write_bytes(content)
    assert main(["sign", str(frames)]) == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_a_frame_goes_out_as_a_signed_picture(signed_frames: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"picture{suffix}"
    before = frame_path(signed_frames, 2).read_bytes()
    assert main(["sign", str(frame_path(signed_frames, 2)), "--output", str(out)]) == 0
    assert valid(out).statement == STATED and frame_path(signed_frames, 2).read_bytes() == before
    difference = np.abs(read_image(out).astype(int) - pixels(2))
    assert difference.max() == 0 if suffix != ".jpg" else difference.mean() < 8
    assert b"compositeSynthetic" in out.read_bytes() and b"Talking Portraits" in out.read_bytes()
    if suffix == ".png":  # the frame's own statement stays whole
        mark = read_mark(out)
        assert mark is not None and mark.photo == PHOTO


def test_a_copy_may_go_out_unsigned_and_still_says_what_it_is(signed_frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "picture.jpg"
    assert main(["sign", str(frame_path(signed_frames, 2)), "--output", str(out), "--no-credentials"]) == 0
    assert read_credentials(out) is None and b"compositeSynthetic" in out.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_and_alpha_are_kept(frames: Path, tmp_path: Path, suffix: str) -> None:
    frame_path(frames, 4).write_bytes(encode_png(pixels(4, 4, 16), "4" * 64, "fewshot"))
    out = tmp_path / f"picture{suffix}"
    assert main(["sign", str(frame_path(frames, 4)), "--output", str(out)]) == 0
    assert np.array_equal(read_image(out, 16), pixels(4, 4, 16)) and valid(out).statement is not None


def test_a_layered_frame_becomes_a_picture_or_gets_a_side_car(frames: Path, tmp_path: Path) -> None:
    layers = np.concatenate([pixels(1).astype(np.float32), np.full((32, 48, 1), 255, np.float32)], -1)
    path = frame_path(frames, 1, suffix=".exr")
    path.write_bytes(marked(encode_exr(layers, ("rgba",), "rec709", "5" * 64, "fewshot"), PHOTO))
    assert main(["sign", str(path), "--output", str(tmp_path / "picture.png")]) == 0
    stated = valid(tmp_path / "picture.png").statement
    assert stated is not None and stated.networks
    (tmp_path / "out").mkdir()
    assert main(["sign", str(path), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "0001.exr").read_bytes() == path.read_bytes()
    assert valid(tmp_path / "out" / "0001.exr").statement == stated and (tmp_path / "out" / "0001.c2pa").is_file()


def test_a_frame_of_a_signed_sequence_is_not_signed_in_its_place(
    signed_frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = frame_path(signed_frames, 1).read_bytes()
    assert main(["sign", str(frame_path(signed_frames, 1))]) == 1
    assert "--output" in capsys.readouterr().err and frame_path(signed_frames, 1).read_bytes() == before


def test_what_is_signed_is_not_signed_again(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", str(frame_path(frames, 1))]) == 0
    before = frame_path(frames, 1).read_bytes()
    assert main(["sign", str(frame_path(frames, 1))]) == 1
    assert "has credentials already, by Talking Portraits" in capsys.readouterr().err
    assert frame_path(frames, 1).read_bytes() == before


@pytest.mark.parametrize("name", ["picture.jpg", "picture.webp"])
def test_what_others_made_of_frames_is_signed_by_what_is_said_of_these(
    signed_frames: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    Image.fromarray(pixels(1)).save(path)
    assert main(["sign", str(path)]) == 1 and "says nothing of what made it" in capsys.readouterr().err
    assert main(["sign", str(path), "--statement", str(signed_frames)]) == 0
    assert valid(path).statement == STATED
    (tmp_path / "statement.json").write_text(json.dumps(STATED.as_json()), encoding="utf-8")
    Image.fromarray(pixels(1)).save(path)
    assert main(["sign", str(path), "--statement", str(tmp_path / "statement.json")]) == 0
    assert valid(path).statement == STATED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{tmp}/none.png"], "none.png"),
        (["{frames}/0001.png", "--output", "{tmp}/a.gif"], "converted"),
        (["{frames}/0001.png", "{frames}/0002.png", "--output", "{tmp}/a.png"], "cannot become one"),
        (["{frames}", "--output", "{tmp}/a"], "lie in it"),
        (["{tmp}"], "No frames"),
        (["{frames}/0001.png", "--no-credentials"], "nothing to do"),
        (["{frames}/0001.png", "--statement", "{frames}/0001.png"], "holds no statement"),
        (["{frames}/0001.png", "--statement", "{tmp}/none.c2pa"], "none.c2pa"),
    ],
)
def test_what_cannot_be_signed_is_said(
    frames: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(["sign", *(word.format(tmp=tmp_path, frames=frames) for word in words)]) == 1
    assert said in capsys.readouterr().err and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mov", "prores4444"), (".mkv", "h264")])
def test_a_movie_has_the_credentials_of_its_frames_in_its_own(
    signed_frames: Path, tmp_path: Path, suffix: str, codec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"movie{suffix}"
    assert main(["movie", str(signed_frames), "--output", str(out), "--codec", codec]) == 0
    assert valid(out).statement == STATED and "Unsigned" not in capsys.readouterr().err
    holder = out if suffix != ".mkv" else out.with_suffix(".c2pa")
    assert b"frames.c2pa" in holder.read_bytes()


def test_a_movie_of_unsigned_frames_says_what_these_say(frames: Path, tmp_path: Path) -> None:
    assert main(["movie", str(frames), "--output", str(tmp_path / "a.mp4")]) == 0
    stated = valid(tmp_path / "a.mp4").statement
    assert stated is not None and stated.sources == (Source(SourceKind.REFERENCE, PHOTO),) and stated.watermark is None


def test_a_movie_of_altered_frames_is_not_signed_and_says_so(
    signed_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(pixels(9)).save(frame_path(signed_frames, 2))
    assert main(["movie", str(signed_frames), "--output", str(tmp_path / "a.mp4")]) == 0
    assert "Unsigned: 0002.png was altered since" in capsys.readouterr().err
    assert read_credentials(tmp_path / "a.mp4") is None


def test_a_movie_without_credentials_leaves_none_of_an_earlier_one(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mkv"
    assert main(["movie", str(frames), "--output", str(out)]) == 0 and (tmp_path / "a.c2pa").is_file()
    assert main(["movie", str(frames), "--output", str(out), "--no-credentials"]) == 0
    assert not (tmp_path / "a.c2pa").exists() and read_credentials(out) is None
