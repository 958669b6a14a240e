# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of files and of sequences: they hold, say what was stated, and tell of every change."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import socket
from pathlib import Path

import av
import numpy as np
import pytest
from c2pa import Builder, Reader, Signer
from PIL import Image
from portrait_server.media.images import read_image
from portrait_server.provenance import keys
from portrait_server.provenance.listings import hashes_of, listing_of
from portrait_server.provenance.reading import (
    CredentialsState,
    parent_of,
    parse_sequence,
    read_credentials,
    read_sequence,
)
from portrait_server.provenance.signing import sign_file, sign_sequence
from portrait_shared.errors import PortraitError
from portrait_shared.statement import Hashed, Source, SourceKind, Statement

HERE = Path(__file__).parent
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PICTURE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def small_jpeg() -> bytes:
    content = io.BytesIO()
    Image.fromarray(PICTURE[:8, :8]).save(content, "JPEG")
    return content.getvalue()


OF_PHOTO = Statement(
    "fewshot", "fewshot-1", True, (Source(SourceKind.REFERENCE, "b" * 64, thumbnail=small_jpeg()),), ("c" * 64,), "d" * 64,
    ({"ground": "written", "digest": "e" * 64},), 0xDEADBEEF, "AI",
)  # fmt: skip
OF_SHOT = Statement("warp", "warp-1", False, (Source(SourceKind.PLATE, "a" * 64, Hashed.FILE),))
HASHES = {f"{number:04d}.png": hashlib.sha256(bytes([number])).hexdigest() for number in range(1, 13)}


def made(path: Path) -> Path:
    """A picture or a movie of noise, or a file of no kind."""
    if path.suffix in (".mp4", ".mov"):
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 60, 40, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(PICTURE, "rgb24")))
            container.mux(stream.encode(None))
    elif path.suffix == ".mxf":
        path.write_bytes(PICTURE.tobytes())
    else:
        Image.fromarray(PICTURE).save(path)
    return path


def as_others_read(path: Path) -> dict:
    """A file's active manifest, as the library's own reader tells it with no settings of ours."""
    told = json.loads(Reader(str(path)).json())
    return told["manifests"][told["active_manifest"]]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.mp4", "a.mov", "a.mxf"])
@pytest.mark.parametrize("statement", [OF_PHOTO, OF_SHOT])
def test_a_file_says_what_was_stated_and_whether_it_was_changed(
    tmp_path: Path, name: str, statement: Statement
) -> None:
    path = made(tmp_path / name)
    holder = sign_file(path, statement)
    assert holder == (path if name != "a.mxf" else tmp_path / "a.c2pa")
    found = read_credentials(path)
    assert found is not None and (found.state, found.why) == (CredentialsState.VALID, "")
    assert found.ours and found.known and not found.stamped and found.signed_at is not None
    assert found.statement == statement and found.tool.startswith("Talking Portraits ")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted({name, holder.name})

    content = bytearray(path.read_bytes())
    manifest = content.find(b"c2pa\x00\x11")
    content[manifest - 200 if manifest > 1000 else len(content) - 100] ^= 1
    path.write_bytes(content)
    changed = read_credentials(path)
    assert changed is not None and (changed.state, bool(changed.why)) == (CredentialsState.ALTERED, True)


def test_pixels_stay_what_they_were(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif"):
        sign_file(made(tmp_path / name), OF_PHOTO)
        assert np.array_equal(read_image(tmp_path / name), PICTURE)


def test_others_read_how_it_was_made_and_from_what(tmp_path: Path) -> None:
    sign_file(made(tmp_path / "a.png"), OF_PHOTO)
    told = as_others_read(tmp_path / "a.png")
    actions = next(each["data"]["actions"] for each in told["assertions"] if each["label"] == "c2pa.actions.v2")
    assert [each["action"] for each in actions] == ["c2pa.created", "c2pa.watermarked.bound"]
    assert actions[0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    ids = [each["instance_id"] for each in told["ingredients"]]
    assert ids == [f"sha256:{letter * 64}" for letter in "bcd"]
    assert {each["relationship"] for each in told["ingredients"]} == {"inputTo"}
    assert next(each["data"] for each in told["assertions"] if each["label"] == "c2pa.soft-binding")["blocks"] == [
        {"scope": {}, "value": "deadbeef"}
    ]


def test_a_shot_was_opened_and_edited_by_an_algorithm(tmp_path: Path) -> None:
    sign_file(made(tmp_path / "a.jpg"), OF_SHOT)
    told = as_others_read(tmp_path / "a.jpg")
    actions = next(each["data"]["actions"] for each in told["assertions"] if each["label"] == "c2pa.actions.v2")
    assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"].endswith("/compositeSynthetic")
    assert [each["relationship"] for each in told["ingredients"]] == ["parentOf"]


def test_one_signature_holds_the_hashes_of_a_whole_sequence(tmp_path: Path) -> None:
    (tmp_path / "frames.c2pa").write_bytes(sign_sequence(OF_PHOTO, HASHES))
    found = read_sequence(tmp_path / "frames.c2pa")
    assert found is not None
    credentials, hashes = found
    assert credentials.state is CredentialsState.VALID and credentials.statement == OF_PHOTO and hashes == HASHES
    # Another verifier is given what `sha256sum` prints.
    with Reader("text/plain", io.BytesIO(listing_of(HASHES)), (tmp_path / "frames.c2pa").read_bytes()) as reader:
        assert reader.get_validation_state() == "Valid"


@pytest.mark.parametrize("words", ["0003.png", HASHES["0007.png"], "written", "compositeWith", "Root of key"])
def test_a_sequences_credentials_that_were_changed_do_not_hold(tmp_path: Path, words: str) -> None:
    content = bytearray(sign_sequence(OF_PHOTO, HASHES))
    content[content.find(words.encode())] ^= 1
    (tmp_path / "frames.c2pa").write_bytes(content)
    found = read_sequence(tmp_path / "frames.c2pa")
    assert found is not None and found[0].state is not CredentialsState.VALID and found[0].why
    assert parent_of(tmp_path / "frames.c2pa") is None


def test_a_movie_carries_the_credentials_of_its_frames(tmp_path: Path) -> None:
    (tmp_path / "frames.c2pa").write_bytes(sign_sequence(OF_PHOTO, HASHES))
    sign_file(made(tmp_path / "a.mp4"), OF_PHOTO, parent=parent_of(tmp_path / "frames.c2pa"))
    told = as_others_read(tmp_path / "a.mp4")
    (parent,) = told["ingredients"]
    assert parent["relationship"] == "parentOf" and parent["title"] == "frames.c2pa"
    found = read_credentials(tmp_path / "a.mp4")
    assert found is not None and found.state is CredentialsState.VALID and found.statement == OF_PHOTO


def test_what_has_no_credentials_says_so_and_a_sequences_are_no_side_car(tmp_path: Path) -> None:
    assert read_credentials(made(tmp_path / "a.png")) is None
    assert read_credentials(made(tmp_path / "a.mp4")) is None
    (tmp_path / "frames.c2pa").write_bytes(sign_sequence(OF_PHOTO, HASHES))
    shutil.copy(tmp_path / "a.png", tmp_path / "frames.png")
    assert read_credentials(tmp_path / "frames.png") is None
    (tmp_path / "empty.png").touch()
    assert read_credentials(tmp_path / "empty.png") is None


def test_credentials_cut_off_are_damaged_not_absent(tmp_path: Path) -> None:
    content = sign_file(made(tmp_path / "a.png"), OF_PHOTO).read_bytes()
    (tmp_path / "a.png").write_bytes(content[: content.find(b"c2pa\x00\x11") + 2000])
    found = read_credentials(tmp_path / "a.png")
    assert found is not None and found.state is CredentialsState.DAMAGED


@pytest.mark.parametrize(
    "hashes", [{}, {"a/b.png": "a" * 64}, {"a\n.png": "a" * 64}, {"a.png": "A" * 64}, {"": "a" * 64}, {"a": "a" * 63}]
)
def test_what_is_no_list_of_frames_is_not_signed(hashes: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        sign_sequence(OF_PHOTO, hashes)


def test_a_list_comes_back_as_it_was() -> None:
    hashes = {"-0001.png": "a" * 64, "ü 0001.png": "b" * 64, "0001.png": "c" * 64}
    assert hashes_of(listing_of(hashes)) == hashes
    with pytest.raises(ValueError):
        hashes_of(listing_of(hashes)[1:])


def test_a_side_car_speaks_for_its_own_file_alone(tmp_path: Path) -> None:
    sign_file(made(tmp_path / "a.mxf"), OF_SHOT)
    assert read_credentials(made(tmp_path / "a.png")) is None
    (tmp_path / "a.mxf").rename(tmp_path / "b.mxf")
    (tmp_path / "a.c2pa").rename(tmp_path / "b.c2pa")
    renamed = read_credentials(tmp_path / "b.mxf")
    assert renamed is not None and renamed.state is CredentialsState.VALID
    with pytest.raises(PortraitError, match="something else"):
        sign_file(made(tmp_path / "a.mxf").rename(tmp_path / "b.exr"), OF_SHOT)
    (tmp_path / "frames.c2pa").write_bytes(sequence := sign_sequence(OF_PHOTO, HASHES))
    with pytest.raises(PortraitError, match="something else"):
        sign_file(made(tmp_path / "frames.mxf"), OF_SHOT)
    assert (tmp_path / "frames.c2pa").read_bytes() == sequence


def test_nothing_is_fetched_from_where_a_file_says(tmp_path: Path) -> None:
    made(tmp_path / "a.png")
    with socket.create_server(("127.0.0.1", 0)) as server, key_signer() as signer:
        builder = another_program()
        builder.set_no_embed()
        builder.set_remote_url(f"http://127.0.0.1:{server.getsockname()[1]}/a.c2pa")
        builder.sign_file(tmp_path / "a.png", tmp_path / "b.png", signer)
        assert b"127.0.0.1" in (tmp_path / "b.png").read_bytes()
        assert read_credentials(tmp_path / "b.png") is None
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_credentials_of_another_program_are_told_from_ours(tmp_path: Path) -> None:
    made(tmp_path / "a.png")
    with key_signer() as signer:
        another_program().sign_file(tmp_path / "a.png", tmp_path / "b.png", signer)
    found = read_credentials(tmp_path / "b.png")
    assert found is not None and (found.state, found.ours, found.statement) == (CredentialsState.VALID, False, None)
    assert found.tool == "Another Camera 3"


def another_program() -> Builder:
    actions = [{"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}]
    told = {"label": "c2pa.actions.v2", "data": {"actions": actions}}
    return Builder({"claim_generator_info": [{"name": "Another Camera", "version": "3"}], "assertions": [told]})


def key_signer() -> Signer:
    return keys.signing_key().signer([])


def test_a_time_stamp_counts_only_by_a_server_that_is_trusted() -> None:
    # Made once with `openssl ts` as the server, whose root is beside it.
    stamped, root = ((HERE / name).read_bytes() for name in ("stamped.c2pa", "stamped_by.pem"))
    for trust, counts in ((b"", False), (root, True)):
        found = parse_sequence(stamped, trust)
        assert found is not None and found[0].state is CredentialsState.VALID and found[0].signed_at is not None
        assert (found[0].stamped, found[0].known) == (counts, False)
