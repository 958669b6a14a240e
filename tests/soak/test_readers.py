# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reader of files, given damaged ones: it reads, or it says in few words and by one kind of error why not."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from portrait_server.corpora.crops import MARGIN, read_crops
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.shards import Face, Shard, write_shard
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.inputs import InputFile
from portrait_server.farm.open_job import template_of
from portrait_server.geometry.crops import CROPS, MOUTH
from portrait_server.media.exr import encode_exr
from portrait_server.media.images import is_picture, read_image
from portrait_server.media.png import encode_png
from portrait_server.media.video import VideoReader
from portrait_server.networks import painters, personal
from portrait_server.networks.painter import Painter
from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.reading import read_credentials, read_sequence
from portrait_server.provenance.sequences import renewed_sequence
from portrait_server.provenance.signing import sign_file, sign_sequence
from portrait_server.provenance.verifying import Verifier, verify_files
from portrait_server.service.sockets.authentication import KeyRing, write_new_keys
from portrait_server.speech.audio import read_speech
from portrait_server.training import checkpoints, configuration
from portrait_shared.consent import Consent, Ground, new_salt
from portrait_shared.errors import PortraitError
from portrait_shared.files.whole_files import parse_json
from portrait_shared.frames.frame_marks import FrameMark, glance, marked, read_mark, timed_exr
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.frames.identity import FrameIdentity, Identity, Verdict
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.connection import Connection
from portrait_shared.statement import Source, SourceKind, Statement
from portrait_shared.track import LandmarkTrack
from safetensors.numpy import save as save_arrays

from tests.soak.mutations import ROUNDS, checked_png, damaged

MESSAGE_CHARACTERS = 1700

Maker = Callable[[Path], None]
Reader = Callable[[Path], Any]

PIXELS = np.random.default_rng(3).integers(0, 255, (24, 32, 3), np.uint8)


def picture(kind: str, **options: Any) -> Maker:
    def make(path: Path) -> None:
        exif = Image.Exif()
        exif[274], exif[305] = 6, "camera"
        Image.fromarray(PIXELS).save(path, kind, exif=exif, **options)

    return make


def film(path: Path) -> None:
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for level in range(6):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 40 * level, np.uint8), "rgb24"))
            )
        container.mux(stream.encode(None))
    path.write_bytes(content.getvalue())


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(16000))


def watch(path: Path) -> None:
    with VideoReader(path) as video:
        for _, frame in zip(range(20), video, strict=False):
            assert frame.dtype == np.uint8


def track(path: Path) -> None:
    points = np.random.default_rng(1).uniform(0, 60, (3, 70, 3)).astype(np.float32)
    LandmarkTrack(points, (64, 48), extra={"detected": np.ones(3, bool)}).save(path)


def weights(path: Path) -> None:
    painters.save(painters.Painters(Painter(6, 4), Painter(6, 4)), path, "made by chance")


def tuned(path: Path) -> None:
    mouth = personal.PersonalPainter(torch.zeros(8), {"end": (torch.zeros(4, 2), torch.zeros(2, 36))})
    personal.to_file(personal.Personal({"mouth": mouth}, "0" * 64)).save(path)


def connection(path: Path) -> None:
    Connection("ipc:///tmp/nowhere", 2, "1", 1, log="log").save(path)


def keys(path: Path) -> None:
    write_new_keys(path, "tcp://127.0.0.1:5555")


def shard(path: Path) -> None:
    face = Face(PIXELS, np.zeros((70, 3), np.float32), np.zeros((478, 3), np.float32), PIXELS[..., 0])
    write_shard(path, [(0, 0, face), (0, 1, face)], ["a.png"], {"b.png": "nobody"})


def read_shard(path: Path) -> None:
    found = Shard(path)
    for number in range(len(found)):
        found.read(number)


def checkpoint(path: Path) -> None:
    made = checkpoints.write(path.parent / "run", 1, {"a": torch.zeros(3)}, {"progress": {"step": 1}}, 1)
    path.write_bytes((made / "tensors.safetensors").read_bytes())


def read_checkpoint(path: Path) -> None:
    folder = path.parent / "run" / "checkpoint-00000001"
    (folder / "tensors.safetensors").write_bytes(path.read_bytes())
    checkpoints.read(folder)


def checkpoint_state(path: Path) -> None:
    checkpoint(path)
    path.write_bytes((path.parent / "run" / "checkpoint-00000001" / "state.json").read_bytes())


def read_checkpoint_state(path: Path) -> None:
    folder = path.parent / "run" / "checkpoint-00000001"
    (folder / "state.json").write_bytes(path.read_bytes())
    checkpoints.read(folder)


def crops(path: Path) -> None:
    """One pair, with K = 1."""
    arrays: dict[str, np.ndarray] = {"person": np.zeros(1, np.int32)}
    for crop in CROPS.values():
        wide = crop.side + 2 * MARGIN
        pictures = {"draft": (1,), "target": (1,), "references": (1, 1)}
        arrays |= {f"{crop.name}.{name}": np.zeros((*n, wide, wide, 3), np.uint8) for name, n in pictures.items()}
        arrays[f"{crop.name}.weight"] = np.zeros((1, wide, wide), np.uint8)
        arrays[f"{crop.name}.points"] = np.zeros((1, 2, 70, 2), np.float32)
    path.write_bytes(save_arrays(arrays))


def head(path: Path) -> None:
    np.savez(
        path.open("wb"),
        V=np.zeros((4, 3)),
        F=np.zeros((1, 3), int),
        I=np.zeros((1, 4, 3)),
        E=np.zeros((1, 4, 3)),
        names=["a"],
    )


def frame(path: Path) -> None:
    path.write_bytes(encode_png(PIXELS, "a" * 64, "warp"))


def layered_frame(path: Path) -> None:
    layers = np.random.default_rng(3).uniform(0, 1, (40, 24, 5)).astype(np.float32)
    data = encode_exr(layers, ("matte", "depth", "forward", "confidence"), "rec709", "a" * 64, "warp")
    path.write_bytes(timed_exr(marked(data, "b" * 64), FrameTimes(24, "01:00:00:00"), 3))


def picture_of_light(path: Path) -> None:
    colours = np.dstack([PIXELS, PIXELS[..., 0]]).astype(np.float32)
    path.write_bytes(encode_exr(colours, ("rgba",), "acescg", "a" * 64, "warp"))


def read_frame(path: Path) -> None:
    for mark in (read_mark(path), glance(path)):
        assert mark is None or (isinstance(mark, FrameMark) and len(str(mark)) < 3000)


STATEMENT = Statement("warp", "warp-1", False, (Source(SourceKind.REFERENCE, "a" * 64),), (), "")


def upright(path: Path) -> None:
    Image.fromarray(PIXELS).save(path)


def signed(make: Maker) -> Maker:
    def make_signed(path: Path) -> None:
        make(path)
        sign_file(path, STATEMENT)

    return make_signed


def read_signed(path: Path) -> None:
    """Whatever became of the file: what is told to be unaltered shows what was signed."""
    verdict = Verifier(None).by_words(path)
    assert verdict is None or len(str(verdict)) < 20_000
    credentials = read_credentials(path)
    if credentials is not None and credentials.state is CredentialsState.VALID and path.suffix != ".mp4":
        assert np.array_equal(read_image(path), PIXELS) or path.suffix == ".jpg"


def signed_list(path: Path) -> None:
    path.write_bytes(sign_sequence(STATEMENT, {f"{number:04}.png": f"{number:064x}" for number in range(3)}))


def read_signed_list(path: Path) -> None:
    found = read_sequence(path)
    if found is not None and found[0].state is CredentialsState.VALID:
        assert found[1] == {f"{number:04}.png": f"{number:064x}" for number in range(3)}
    renewed_sequence(STATEMENT, path.name, {"0001.png": "b" * 64}, path.read_bytes(), ["0002.png"])
    for verdict in verify_files([path]):
        assert len(str(verdict)) < 20_000


def consent(path: Path) -> None:
    Consent(Ground.WRITTEN, "Anne", "", "one film", "2030-01-01", "2026-01-01", False, new_salt()).save(path)


def identity(path: Path) -> None:
    frames = {
        1: FrameIdentity("a" * 64, Verdict.RECOGNISED, 0.3),
        2: FrameIdentity("b" * 64, Verdict.CANNOT_TELL, None, "so"),
    }
    Identity("measure", 0.5, frames).save(path)


def mouth_shapes(path: Path) -> None:
    record = {"format": "talking-portraits visemes 1", "start": 0.0, "seconds": 1.0, "phones": [["AA", 0, 1]],
              "visemes": [["aa", 0.0, 0.5], ["sil", 0.5, 1.0]], "loudness": {"fps": 10.0, "values": [0.1] * 10}}  # fmt: skip
    path.write_text(json.dumps(record))


def face_recording(path: Path) -> None:
    names = ["EyeBlinkLeft", "JawOpen", "HeadYaw", "HeadPitch", "HeadRoll"]
    rows = [f"00:00:0{i // 4}:{i % 4:02d}.000,{len(names)}," + ",".join(["0.25"] * len(names)) for i in range(12)]
    path.write_text("\n".join([f"Timecode,BlendShapeCount,{','.join(names)}", *rows]))


def farm_job(path: Path) -> None:
    files = {
        f"inputs/{digit * 64}{suffix}": InputFile(digit * 64, 9) for digit, suffix in (("1", ".npz"), ("2", ".png"))
    }
    track, photo = map(Path, files)
    request = FrameRequest((track,), (photo,), faces=(1,), size=(32, 48), layers=("rgba",), photo_digest="3" * 64)
    digests = {number: str(number % 10) * 64 for number in range(-1, 12)}
    path.write_bytes(FarmJob(path.parent, request, "warp", "warp-1", digests, files, (32, 48)).content)


def read_farm_job(path: Path) -> None:
    """As if whoever wrote it had made its hash anew."""
    with contextlib.suppress(LookupError, TypeError, ValueError):
        told = parse_json(path.read_bytes())
        del told["digest"]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        path.write_text(json.dumps({**told, "digest": digest}))
    template_of(FarmJob.read(path.parent))


def of_the_addon(module: str, attribute: str) -> Reader:
    """A reader of the extension's; found when it is needed, since its package needs Blender's."""

    def read(path: Path) -> Any:
        found: Any = importlib.import_module(f"blender_addon.{module}")
        for name in attribute.split("."):
            found = getattr(found, name)
        return found(path)

    return read


READERS: dict[str, tuple[Maker, Reader]] = {
    "track.npz": (track, LandmarkTrack.load),
    "head.npz": (head, HeadModel.load),
    "photo.jpg": (picture("JPEG"), read_image),
    "progressive.jpg": (picture("JPEG", progressive=True), read_image),
    "photo.png": (picture("PNG"), read_image),
    "photo.webp": (picture("WEBP"), read_image),
    "photo.tif": (picture("TIFF"), read_image),
    "photo.avif": (picture("AVIF"), read_image),
    "photo.gif": (picture("GIF"), read_image),
    "photo.bmp": (picture("BMP"), read_image),
    "photo.tga": (picture("TGA"), read_image),
    "photo.jp2": (picture("JPEG2000"), read_image),
    "photo.exr": (picture_of_light, read_image),
    "unknown": (picture("TIFF"), is_picture),
    "film.mp4": (film, watch),
    "sound.wav": (sound, read_speech),
    "weights.safetensors": (weights, painters.load),
    "her.safetensors": (tuned, lambda path: personal.from_file(PersonalFile.load(path))),
    "connection.json": (connection, Connection.load),
    "keys.json": (keys, KeyRing.load),
    "run.toml": (lambda path: path.write_bytes((configuration.CONFIGS / "painters.toml").read_bytes()), configuration.load),
    "job.json": (farm_job, read_farm_job),
    "0.shard": (shard, read_shard),
    "crops.safetensors": (crops, lambda path: read_crops(path.parent, MOUTH)),
    "tensors": (checkpoint, read_checkpoint),
    "state": (checkpoint_state, read_checkpoint_state),
    "0001.png": (frame, read_frame),
    "0001.exr": (layered_frame, read_frame),
    "signed.png": (signed(upright), read_signed),
    "signed.jpg": (signed(upright), read_signed),
    "signed.tif": (signed(upright), read_signed),
    "signed.mp4": (signed(film), read_signed),
    "frames.c2pa": (signed_list, read_signed_list),
    "consent.json": (consent, Consent.load),
    "identity.json": (identity, Identity.load),
    "mouth.json": (mouth_shapes, of_the_addon("capture.speech_shapes", "Speech.load")),
    "face.csv": (face_recording, of_the_addon("importers.live_link", "read_live_link")),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_few_words(name: str, tmp_path: Path) -> None:
    make, read = READERS[name]
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    if name != "head.npz":  # the whole one is no head either
        read(path)
    tried = 0
    for content in _also_with_right_checksums(damaged(whole, name), name):
        path.write_bytes(content)
        tried += 1
        try:
            read(path)
        except PortraitError as error:
            assert len(str(error)) <= MESSAGE_CHARACTERS
            str(error).encode()
    assert tried >= ROUNDS


def _also_with_right_checksums(contents: Iterator[bytes], name: str) -> Iterator[bytes]:
    for content in contents:
        yield content
        if name.endswith(".png"):
            yield checked_png(content)
