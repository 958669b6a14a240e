# SPDX-License-Identifier: GPL-3.0-or-later
"""The one client: the extension, the command line and a farm all use it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, Self

import numpy as np

from portrait_shared.body import check_body, is_usual
from portrait_shared.bounds import check_points
from portrait_shared.client.conversation import Conversation
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.client.tuning import Tuning
from portrait_shared.digest import frame_digest
from portrait_shared.disclosure import USUALLY_SHOWN, Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import COLORSPACES, followed_rows, in_order
from portrait_shared.other_faces import OtherFaces, check_others, checked_others
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.client_messages import MAX_MANIFEST_BYTES, MAX_SENT_FILE_BYTES, MAX_SUFFIX_CHARACTERS
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.messages import (
    MAX_FRAMES,
    MAX_WINDOW,
    AskStats,
    Detect,
    Detected,
    Echo,
    Echoed,
    PictureRead,
    Prepare,
    Prepared,
    ReadPicture,
    Shutdown,
    Signed,
    SignSequence,
    Stats,
    Stopping,
)
from portrait_shared.protocol.references import MAX_REFERENCES, Detection, PortraitHandle, ReferenceImage, ServerInfo
from portrait_shared.statement import Statement

_LEAST_WINDOW: Final = 8


class Client(Conversation):
    """Talks to one server. Used by one thread; every wait is bounded.

    Args:
        connection: where the server is; given a `ServerProcess`, the client starts it,
            and starts it again after a crash.
        name: what the server's log calls this client.
        restarts: how many crashes in a row are forgiven; a server that lived 10 s counts as stable.
    """

    def __init__(self, connection: Connection | ServerProcess, *, name: str = "client", restarts: int = 5) -> None:
        super().__init__(connection, name, restarts)

    @property
    def server(self) -> ServerInfo:
        """Who the server is; connects where that has not been done."""
        return self.connect()

    def connect(self) -> ServerInfo:
        """Says hello, unless connected. Other calls do it when needed.

        Raises:
            PortraitError: VERSION_MISMATCH, SERVER_UNAVAILABLE.
        """
        info = self.link.connect().server
        assert info is not None
        return info

    def ask_who(self) -> ServerInfo:
        """Who the server is, with the model and the memory of its device."""
        told = self.stats()
        info = self.connect()
        return dataclasses.replace(
            info, device_model=str(told.get("device_model", "")), device_bytes=int(told.get("device_bytes", 0))
        )

    def read_picture(self, content: bytes, suffix: str, depth: Literal[8, 16] = 8) -> np.ndarray:
        """What picture a file holds: every program reads photographs by the server's one reader.

        Args:
            content: the file's bytes.
            suffix: of the file's name, with its dot.
            depth: bits a channel of what is returned.

        Returns:
            (H, W, 3) uint8 or uint16: upright, sRGB; (H, W, 4) with straight alpha where a pixel is not opaque. Read-only.

        Raises:
            PortraitError: BAD_IMAGE, IMAGE_TOO_LARGE.
        """
        if len(content) > MAX_SENT_FILE_BYTES:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE,
                f"The file has {len(content) // 10**6} MB; {MAX_SENT_FILE_BYTES // 10**6} are read.",
                "Save it as JPEG or PNG.",
            )
        suffix = suffix if len(suffix) <= MAX_SUFFIX_CHARACTERS else ""
        return self.ask(ReadPicture(self.new_request(), suffix, content, depth), PictureRead).pixels

    def detect(self, image: np.ndarray, *, detector: str | None = None, face: int | None = None) -> Detection:
        """Finds a face and its landmarks.

        Args:
            image: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha.
            face: which of several, counted from 1 at the picture's left; 0 or None for the largest.

        Raises:
            PortraitError: NO_FACE, NO_SUCH_FACE, UNKNOWN_DETECTOR, WEIGHTS_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
        """
        return self._detect(ReferenceImage(image), detector, face)

    def tune(self, photos: Sequence[ReferenceImage], *, engine: str | None = None) -> Tuning:
        """Tunes an engine to the person on some photos: minutes on a CPU, one tuning after another.

        Args:
            photos: 1 to 32, with one person's face the largest; their points, where they have some, are not used.
            engine: the one that can be tuned where None.

        Returns:
            the tuning, whose `result` waits for what to give `prepare`.

        Raises:
            PortraitError: BAD_IMAGE for too few or too many photos.
        """
        _check_count(photos, "Tuning takes")
        return Tuning(self, photos, engine)

    def prepare(
        self,
        references: Sequence[ReferenceImage],
        *,
        engine: str | None = None,
        personal: PersonalFile | None = None,
        others: np.ndarray | None = None,
    ) -> PortraitHandle:
        """Makes a portrait ready to be driven. Points that are None are detected on the server.

        Args:
            references: 1 to 32; the first one's pixel frame is the portrait's, and frames have as many bits as it has.
            engine: the server's default where None, or with `personal` the engine that can be tuned.
            personal: what `tune`, or `portrait adapt`, has made.
            others: (F, 70, 3) points of further faces of the first reference, to be driven in the same frames. Further
                references, and `personal`, are of the first face.

        Raises:
            PortraitError: UNKNOWN_ENGINE, BAD_POINTS, BAD_IMAGE, BAD_WEIGHTS, and those of `detect`.
        """
        _check_count(references, "A portrait is made of")
        complete = []
        for reference in references:
            points = self._detect(reference, None, None).points if reference.points is None else reference.points
            check_points(points[np.newaxis], size=reference.size)
            complete.append(ReferenceImage(reference.image, points) if reference.points is None else reference)
        others = None if others is None else check_others(others, complete[0].size)
        points = np.stack([reference.points for reference in complete if reference.points is not None])
        request = Prepare(
            self.new_request(), engine, tuple(reference.digest for reference in complete), points.astype("<f4"),
            None if personal is None else personal.digest, others,
        )  # fmt: skip
        uploads = [partial(self.upload_reference, reference) for reference in complete]
        if personal is not None:
            uploads.append(partial(self.upload_personal, personal))
        prepared = self.ask_about(uploads, request, Prepared)
        return PortraitHandle(
            prepared.portrait, points[0], complete[0].size, prepared.engine, prepared.batch_size, tuple(complete),
            personal, others, prepared.weights,
        )  # fmt: skip

    def render(
        self,
        portrait: PortraitHandle,
        points: np.ndarray,
        frames: Sequence[int],
        *,
        size: tuple[int, int] | None = None,
        matte: bool = False,
        encoding: Literal["png", "raw", "exr"] = "png",
        window: int | None = None,
        body: np.ndarray | None = None,
        others: OtherFaces | None = None,
        layers: Sequence[str] = (),
        colorspace: str = COLORSPACES[0],
        disclosure: Disclosure = USUALLY_SHOWN,
    ) -> RenderStream:
        """Asks for frames, which then stream in.

        Args:
            portrait: from `prepare`, of this client or another.
            points: (T, 70, 2 or 3) pixels of the first reference, one row a frame; with the layer `forward`
                (2 T, 70, 2 or 3), see `layers.followed_rows`.
            frames: T numbers, no two alike.
            size: (width, height); the first reference's where None.
            matte: frames get the person's alpha as a fourth channel.
            encoding: ``png``: finished files; ``raw``: arrays; ``exr``: finished files of layers.
            window: how many frames the server may be ahead of the reader; what keeps the engine busy where None.
            body: (T, 2), or with `forward` (2 T, 2): how far the shoulders follow and the breath, see
                `portrait_shared.body`; as usual where None.
            others: T frames, or with `forward` 2 T, of the portrait's further faces, where it has some.
            layers: of ``exr`` files, see `portrait_shared.layers.LAYERS`.
            colorspace: that their colours are written in, of `portrait_shared.layers.COLORSPACES`.
            disclosure: what they show of having been made.

        Raises:
            PortraitError: BAD_POINTS, naming the frame and the point.
        """
        numbers = [int(frame) for frame in frames]
        face_count = 0 if portrait.others is None else len(portrait.others)
        if len(set(numbers)) != len(numbers) or len(numbers) * max(1, face_count) > MAX_FRAMES:
            raise PortraitError(
                ErrorCode.BAD_TRACK,
                f"Up to {MAX_FRAMES // max(1, face_count)} frames, no two alike, can be asked for at once.",
            )
        told = np.asarray(numbers)[followed_rows(numbers, layers)] if numbers else numbers
        checked = check_points(points, told, size=portrait.size)
        body = None if body is None else check_body(body, told)
        others = checked_others(others, told, portrait.size, face_count)
        if window is None:
            window = max(_LEAST_WINDOW, 2 * portrait.batch_size)
        prepare_again = partial(
            self.prepare,
            portrait.references,
            engine=portrait.engine,
            personal=portrait.personal,
            others=portrait.others,
        )
        return RenderStream(
            self, portrait, prepare_again, checked, None if is_usual(body) else body, others, numbers, size or portrait.size,
            matte, encoding, max(1, min(window, MAX_WINDOW)), in_order(layers), colorspace, disclosure,
        )  # fmt: skip

    def frame_digest(
        self, portrait: PortraitHandle, row: np.ndarray, size: tuple[int, int] | None = None, matte: bool = False,
        body: np.ndarray | None = None, others: OtherFaces | None = None, layers: Sequence[str] = (),
        colorspace: str = COLORSPACES[0], disclosure: Disclosure = USUALLY_SHOWN,
    ) -> str:  # fmt: skip
        """The content hash that the frame of this row (70, 2 or 3), body (2,) and further faces (T = 1) will have: see
        `digest.frame_digest`."""
        return frame_digest(
            portrait.portrait_id, row, size or portrait.size, matte, body, others, layers, colorspace, disclosure
        )

    def sign_sequence(
        self, statement: Statement, title: str, hashes: Mapping[str, str], before: bytes | None = None,
        staying: Sequence[str] = (), thumbnails: Sequence[ReferenceImage] = (),
    ) -> bytes:  # fmt: skip
        """The signed manifest of a sequence of frames' files, signed by the server's user.

        Args:
            statement: what is said of them.
            title: what the manifest's file will be called.
            hashes: SHA-256 (hex) of each file by its name: up to `MAX_FRAMES`, at least one.
            before: the manifest that was there, where there was one.
            staying: names of other files of the sequence that stay as they are in it.
            thumbnails: references, in the order of the statement's sources, whose small pictures go into it.

        Returns:
            the content of ``frames.c2pa``: that of `before`, where all that it says is so still.

        Raises:
            PortraitError: BAD_TRACK for too many files; what keeps the server from signing.
        """
        if len(hashes) > MAX_FRAMES:
            raise PortraitError(
                ErrorCode.BAD_TRACK, f"{len(hashes)} frames cannot be signed at once; {MAX_FRAMES} can.",
                "Render into several folders.",
            )  # fmt: skip
        rows = np.frombuffer(bytes.fromhex("".join(hashes.values())), np.uint8).reshape(-1, 32)
        names = "\n".join([*hashes, *staying]).encode()
        if before is not None and len(before) > MAX_MANIFEST_BYTES:
            before = None
        request = SignSequence(
            self.new_request(), rows, names, statement.to_text().encode(), title, before,
            tuple(reference.digest for reference in thumbnails),
        )  # fmt: skip
        uploads = [partial(self.upload_reference, reference) for reference in thumbnails]
        return bytes(self.ask_about(uploads, request, Signed).manifest)

    def echo(self, *, through_engine: bool = False) -> float:
        """Round-trip time in seconds, through the server's queue of engine work if asked."""
        self.connect()
        start = time.perf_counter()
        self.ask(Echo(self.new_request(), through_engine), Echoed)
        return time.perf_counter() - start

    def stats(self) -> dict[str, Any]:
        """The server's counters, and under ``jobs`` those of each render."""
        answer = self.ask(AskStats(self.new_request()), Stats)
        return {**answer.counters, "jobs": [dict(job) for job in answer.jobs]}

    def shutdown(self) -> None:
        """Asks the server to stop: it finishes the batch in hand and hands the rest back."""
        self.ask(Shutdown(self.new_request()), Stopping)

    def close(self) -> None:
        """Lets go of the server; stops it where this client has started it. Never hangs."""
        for stream in list(self._streams.values()):
            stream.cancel()
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _detect(self, reference: ReferenceImage, detector: str | None, face: int | None) -> Detection:
        request = Detect(self.new_request(), reference.digest, detector, face)
        found = self.ask_about([partial(self.upload_reference, reference)], request, Detected)
        return Detection(found.points, found.face_count, found.detector, found.mesh478)


def _check_count(photos: Sequence[ReferenceImage], what: str) -> None:
    if not 1 <= len(photos) <= MAX_REFERENCES:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"{what} 1 to {MAX_REFERENCES} photos, not {len(photos)}.", "Choose the sharpest."
        )
