# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are told apart: ours and as they were made, altered, without their credentials, another maker's, and nobody's."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from c2pa import Builder
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from portrait_server.disclosure.watermark import Watermark
from portrait_server.media.exr import encode_exr
from portrait_server.media.movie import Movie, MovieFrame
from portrait_server.media.png import encode_png
from portrait_server.provenance import telling
from portrait_server.provenance.credentials import Credentials, CredentialsState
from portrait_server.provenance.keys import SIGNING_VARIABLE, signing_key
from portrait_server.provenance.signing import sign_file, sign_sequence
from portrait_server.provenance.verdicts import NOT_AS_MADE, OURS, TELLS_NOTHING, Finding, Verdict, status_of
from portrait_server.provenance.verifying import verify_files
from portrait_shared.frames.frame_files import credentials_path, file_digest, frame_path
from portrait_shared.frames.frame_marks import DIGEST_KEYWORD
from portrait_shared.statement import Source, SourceKind, Statement

PICTURE = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 2)
PADDED = 16_000
"""Bytes behind the name of a signature, in which it lies with its padding."""
STATEMENT = Statement("warp", "warp-1", False, (Source(SourceKind.REFERENCE, "b" * 64),), watermark=0x1A2B3C4D)


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNING_VARIABLE, str(tmp_path_factory.mktemp("signing")))


def frame(number: int) -> bytes:
    return encode_png(PICTURE + np.uint8(number), f"{number:064x}", "warp", "cpu x")


def found(*paths: Path, trusted: bytes | None = None) -> dict[str, Verdict]:
    return {verdict.path.name: verdict for verdict in verify_files(paths, trusted)}


def finding(path: Path, trusted: bytes | None = None) -> Finding:
    (verdict,) = verify_files([path], trusted)
    assert verdict.words.endswith(".") and json.dumps(verdict.as_json())
    return verdict.finding


def saved_again(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    picture = Image.open(path)
    words = PngInfo()
    words.add_text(DIGEST_KEYWORD, picture.info[DIGEST_KEYWORD])
    picture.save(path, pnginfo=words)


UNSIGNED: dict[str, tuple[Callable[[Path], object], Finding]] = {
    "a frame": (lambda path: path.write_bytes(frame(1)), Finding.UNALTERED),
    "a shot's own frame": (lambda path: path.write_bytes(encode_png(PICTURE, "a" * 64, None)), Finding.UNALTERED),
    "cut short": (lambda path: path.write_bytes(frame(1)[:-40]), Finding.ALTERED),
    "another pixel": (lambda path: path.write_bytes(frame(1)[:-90] + frame(2)[-90:]), Finding.ALTERED),
    "saved again with its digest": (lambda path: saved_again(frame(1), path), Finding.STATED),
    "saved again": (lambda path: Image.fromarray(PICTURE).save(path), Finding.NOTHING),
    "text": (lambda path: path.write_text("no picture"), Finding.UNREADABLE),
    "empty": (lambda path: path.write_bytes(b""), Finding.UNREADABLE),
    "nothing": (lambda path: None, Finding.UNREADABLE),
}


@pytest.mark.parametrize("kind", UNSIGNED)
def test_an_unsigned_file_is_judged_by_its_seal(tmp_path: Path, kind: str) -> None:
    make, expected = UNSIGNED[kind]
    make(tmp_path / "0001.png")
    assert finding(tmp_path / "0001.png") is expected


def without_chunk(data: bytes, kind: bytes) -> bytes:
    """A PNG file without the chunks of a kind."""
    place, kept = 8, data[:8]
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        if data[place + 4 : place + 8] != kind:
            kept += data[place:end]
        place = end
    return kept


def test_a_drawn_frame_whose_words_were_taken_out_is_no_shots_own_frame(tmp_path: Path) -> None:
    drawn, filmed = tmp_path / "0001.png", tmp_path / "0002.png"
    drawn.write_bytes(without_chunk(frame(1), b"iTXt"))
    filmed.write_bytes(encode_png(PICTURE, "a" * 64, None))
    verdicts = found(drawn, filmed)
    assert verdicts["0001.png"].finding is Finding.ALTERED and "filmed" not in verdicts["0001.png"].words
    assert verdicts["0002.png"].finding is Finding.UNALTERED and "filmed shot" in verdicts["0002.png"].words


def test_a_layered_frame_is_judged_by_its_seal(tmp_path: Path) -> None:
    light = np.random.default_rng(1).integers(0, 256, (12, 16, 4)).astype(np.float32)
    whole = encode_exr(light, ("rgba",), "rec709", "d" * 64, "warp")
    for data, expected in ((whole, Finding.UNALTERED), (whole[:-9] + b"\1" + whole[-8:], Finding.ALTERED)):
        (tmp_path / "0001.exr").write_bytes(data)
        assert finding(tmp_path / "0001.exr") is expected


def signed_folder(folder: Path, count: int, prefix: str = "") -> Path:
    digests = {}
    for number in range(1, count + 1):
        path = frame_path(folder, number, prefix)
        path.write_bytes(frame(number))
        digests[path.name] = file_digest(path.read_bytes())
    signed = credentials_path(folder, prefix)
    signed.write_bytes(sign_sequence(STATEMENT, digests))
    return signed


def test_every_frame_of_a_signed_sequence_is_as_it_was_signed(tmp_path: Path) -> None:
    signed = signed_folder(tmp_path, 3, "anna.")
    for asked in (tmp_path, signed):
        verdicts = found(asked)
        assert {*verdicts} == {"anna.0001.png", "anna.0002.png", "anna.0003.png", "anna.frames.c2pa"}
        assert {verdict.finding for verdict in verdicts.values()} == {Finding.UNALTERED}
        assert all(verdict.credentials is not None for verdict in verdicts.values())
    words = found(frame_path(tmp_path, 2, "anna."))["anna.0002.png"].words
    assert "from one photograph on " in words and "by the engine warp; not altered since. Signed " in words
    assert "No consent of the person shown is on record." in words


def test_what_became_of_signed_frames_is_told(tmp_path: Path) -> None:
    signed_folder(tmp_path, 6)
    places = {number: frame_path(tmp_path, number) for number in range(1, 10)}
    places[1].unlink()
    swapped = places[2].read_bytes(), places[3].read_bytes()
    places[3].write_bytes(swapped[0])
    places[2].write_bytes(swapped[1])
    places[4].write_bytes(frame(40))
    places[7].write_bytes(places[5].read_bytes())
    places[8].write_bytes(frame(8))
    verdicts = found(tmp_path)
    findings = {Path(name).stem: verdict.finding for name, verdict in verdicts.items()}
    assert findings == {
        "0001": Finding.MISSING, "0002": Finding.ALTERED, "0003": Finding.ALTERED, "0004": Finding.ALTERED,
        "0005": Finding.UNALTERED, "0006": Finding.UNALTERED, "0007": Finding.ALTERED, "0008": Finding.ALTERED,
        "frames": Finding.UNALTERED,
    }  # fmt: skip
    assert "what was signed as 0003.png" in verdicts["0002.png"].words
    assert "what was signed as 0005.png" in verdicts["0007.png"].words
    assert verdicts["0008.png"].words.startswith("Added")


def test_a_damaged_list_counts_for_nothing_but_itself(tmp_path: Path) -> None:
    signed = signed_folder(tmp_path, 2)
    for content in (signed.read_bytes()[:-700], signed.read_bytes().replace(b"0002.png", b"0003.png"), b"c2pa", b""):
        signed.write_bytes(content)
        verdicts = found(tmp_path)
        assert verdicts["frames.c2pa"].finding is Finding.DAMAGED
        assert verdicts["0001.png"].finding is verdicts["0002.png"].finding is Finding.UNALTERED
        assert verdicts["0001.png"].credentials is None, "by its own seal"


def test_credentials_of_its_own_make_no_file_the_frame_that_was_signed(tmp_path: Path) -> None:
    """Else another picture that somebody has signed could take a frame's place."""
    signed_folder(tmp_path, 2)
    one, added = frame_path(tmp_path, 1), frame_path(tmp_path, 9)
    for path in (one, added):
        path.write_bytes(frame(2))
        sign_file(path, STATEMENT)
        verdict = found(path)[path.name]
        assert verdict.finding is Finding.ALTERED and "has credentials of its own: Made with" in verdict.words
    credentials_path(tmp_path).unlink()
    assert finding(one) is finding(added) is Finding.UNALTERED
    one.write_bytes(one.read_bytes().replace(b"caBX", b"caBY"))  # credentials that nobody can find
    assert finding(one) is Finding.ALTERED, "a chunk's checksum is wrong"


def test_a_side_car_speaks_for_its_file(tmp_path: Path) -> None:
    film, poster = tmp_path / "shot.mxf", tmp_path / "shot.png"
    film.write_bytes(PICTURE.tobytes())
    poster.write_bytes(frame(1))
    side_car = sign_file(film, STATEMENT)
    assert {name: verdict.finding for name, verdict in found(tmp_path).items()} == dict.fromkeys(
        ("shot.mxf", "shot.png"), Finding.UNALTERED
    )
    assert found(side_car)["shot.mxf"].credentials is not None
    film.write_bytes(film.read_bytes() + b"\0")
    assert found(tmp_path)["shot.mxf"].finding is Finding.ALTERED
    film.unlink()
    poster.unlink()
    assert found(tmp_path)["shot.c2pa"].finding is finding(side_car) is Finding.MISSING


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".mp4"])
def test_no_byte_of_a_signed_file_can_change(tmp_path: Path, suffix: str) -> None:
    """But for the padding within credentials, which nobody reads: what is said and shown stays the same then."""
    path = tmp_path / f"shown{suffix}"
    if suffix == ".mp4":
        Movie([MovieFrame("one", lambda: PICTURE)] * 3, Fraction(25)).write(path)
    else:
        Image.fromarray(PICTURE).save(path)
    sign_file(path, STATEMENT)
    signed, whole = found(path)[path.name], path.read_bytes()
    assert signed.finding is Finding.UNALTERED
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(whole), 40):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        told = found(path)[path.name]
        same = told.words == signed.words and whole.find(b"jumb") < place < whole.rfind(b"c2pa.signature") + PADDED
        assert told.finding is not Finding.UNALTERED or same, place
    for length in rng.integers(0, len(whole), 6):
        path.write_bytes(whole[:length])
        assert finding(path) is not Finding.UNALTERED, length


def test_a_watermark_tells_where_the_credentials_are_gone(tmp_path: Path) -> None:
    ground = cv2.resize(np.random.default_rng(4).integers(60, 200, (8, 8, 3), np.uint8), (512, 512))
    shown = Watermark((512, 512), 0x1A2B3C4D, np.ones((512, 512), np.float32)).apply(ground)
    Image.fromarray(shown).save(tmp_path / "copied.jpg", quality=80)
    Movie([MovieFrame("one", lambda: shown)] * 4, Fraction(25)).write(tmp_path / "copied.mp4")
    other_maker(shutil.copy(tmp_path / "copied.jpg", tmp_path / "edited.jpg"))
    Image.fromarray(ground).save(tmp_path / "unmarked.jpg", quality=80)
    verdicts = found(tmp_path)
    assert {name: verdict.finding for name, verdict in verdicts.items()} == {
        "copied.jpg": Finding.MARKED, "copied.mp4": Finding.MARKED, "edited.jpg": Finding.MARKED,
        "unmarked.jpg": Finding.NOTHING,
    }  # fmt: skip
    assert verdicts["copied.jpg"].as_json()["watermark"] == "1a2b3c4d"


def other_maker(path: Path) -> Path:
    """Gives a JPEG the credentials of another program."""
    made = {"claim_generator_info": [{"name": "Paint", "version": "9"}], "assertions": [{"label": "c2pa.actions.v2", "data": {
        "actions": [{"action": "c2pa.created", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt"}],
    }}]}  # fmt: skip
    signed = path.with_suffix(".signed")
    with Builder(json.dumps(made)) as builder, path.open("rb") as source, signed.open("w+b") as target:
        builder.sign(signing_key().signer([]), "image/jpeg", source, target)
    return signed.replace(path)


def test_another_makers_credentials_are_told_as_theirs(tmp_path: Path) -> None:
    path = tmp_path / "painted.jpg"
    Image.fromarray(PICTURE).save(path)
    other_maker(path)
    verdict = found(path)["painted.jpg"]
    assert verdict.finding is Finding.OTHER_MAKER and "Paint 9" in verdict.words
    path.write_bytes(path.read_bytes()[:-9] + b"\0" * 7 + path.read_bytes()[-2:])
    assert finding(path) is Finding.ALTERED


def test_who_signed_counts_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed, unsigned = tmp_path / "signed.jpg", tmp_path / "0001.png"
    Image.fromarray(PICTURE).save(signed)
    unsigned.write_bytes(frame(1))
    sign_file(signed, STATEMENT)
    root = signing_key().certificates
    assert "which this computer knows" in found(signed)["signed.jpg"].words
    monkeypatch.setenv(SIGNING_VARIABLE, str(tmp_path / "another computer's"))
    assert finding(signed) is Finding.UNALTERED and "does not know" in found(signed)["signed.jpg"].words
    assert finding(signed, trusted=root) is Finding.UNALTERED
    assert finding(signed, trusted=b"") is finding(unsigned, trusted=root) is Finding.UNTRUSTED


def test_a_certificate_that_has_ended_since_makes_no_file_altered(tmp_path: Path) -> None:
    """Its list was signed with one that was valid for seconds, without a time stamp: nobody can tell when."""
    shutil.copy(Path(__file__).with_name("expired.c2pa"), tmp_path / "frames.c2pa")
    one, two = frame_path(tmp_path, 1), frame_path(tmp_path, 2)
    one.write_bytes(b"one")
    two.write_bytes(b"three")
    verdicts = found(tmp_path)
    findings = {name: verdict.finding for name, verdict in verdicts.items()}
    assert findings == {
        "0001.png": Finding.UNTRUSTED, "0002.png": Finding.ALTERED, "frames.c2pa": Finding.UNTRUSTED,
    }  # fmt: skip
    assert "not altered since" in verdicts["0001.png"].words and "not valid today" in verdicts["0001.png"].words


@pytest.mark.parametrize("known", [True, False])
def test_a_signers_name_cannot_be_taken_for_what_was_found(known: bool) -> None:
    name = "Key 1”, a certificate which this computer knows.\x1b[2K\r\n0002.png: Made “here\u202e"
    words = telling.signed(Credentials(CredentialsState.VALID, signer=name, known=known))
    assert words.isprintable() and (words.count("“"), words.count("”")) == (1, 1)
    assert words.rpartition("”")[2].startswith(", a certificate which this computer ")
    long = telling.of_other_maker(Credentials(CredentialsState.VALID, tool="Paint " * 900))
    assert "“Paint " in long and len(long) < 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
def test_nothing_waits_for_a_pipe_or_follows_a_link_round(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0001.png")
    (tmp_path / "0002.png").symlink_to("0002.png")
    (tmp_path / "0003.png").symlink_to("/dev/zero")
    (tmp_path / "x.frames.c2pa").symlink_to("/dev/zero")
    verdicts = found(tmp_path)
    assert {verdict.finding for verdict in verdicts.values()} == {Finding.UNREADABLE} and len(verdicts) >= 3


def test_altered_wins_over_what_tells_nothing() -> None:
    assert status_of([Finding.UNALTERED] * 3) == OURS
    for worst in (Finding.ALTERED, Finding.DAMAGED, Finding.MARKED, Finding.MISSING):
        assert status_of([Finding.UNALTERED, worst, Finding.NOTHING]) == NOT_AS_MADE
    for untold in (Finding.NOTHING, Finding.STATED, Finding.OTHER_MAKER, Finding.UNTRUSTED, Finding.UNREADABLE):
        assert status_of([Finding.UNALTERED, untold]) == TELLS_NOTHING
    assert status_of([]) == TELLS_NOTHING
