# SPDX-License-Identifier: GPL-3.0-or-later
"""From landmarks to frame files: the one loop that the extension and the command line share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from portrait_shared.client.client import Client
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.digest import followed_digest, frame_digest
from portrait_shared.disclosure import USUALLY_SHOWN, Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.exr_header import MAGIC
from portrait_shared.frames.frame_files import (
    LAYERED,
    PICTURES,
    copy_equal_frames,
    file_digest,
    frame_path,
    prepare_folder,
    valid_frames,
    write_frame,
)
from portrait_shared.frames.frame_marks import marked, timed_exr
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import COLORSPACES, followed_rows
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.references import PortraitHandle

_CANCEL_CHECK_SECONDS = 0.2


class StoredFrame(NamedTuple):
    """A frame whose file is there.

    Attributes:
        drawn: whether it was rendered now; else it was still valid, or is a copy of one that was.
        sha256: of the file, hex; empty where whoever tells of it has not seen its bytes.
    """

    number: int
    path: Path
    drawn: bool
    sha256: str = ""


def store_frames(
    client: Client,
    portrait: PortraitHandle,
    points: np.ndarray,
    frames: Sequence[int],
    folder: Path,
    *,
    only: Collection[int] | None = None,
    size: tuple[int, int] | None = None,
    matte: bool = False,
    layers: Sequence[str] = (),
    colorspace: str = COLORSPACES[0],
    disclosure: Disclosure = USUALLY_SHOWN,
    again: bool = False,
    prefix: str = "",
    photo: str = "",
    body: np.ndarray | None = None,
    others: OtherFaces | None = None,
    times: FrameTimes | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[StoredFrame]:
    """Brings a folder up to date with the landmarks, one frame after another.

    Frames that are there with the digest asked for are not rendered again, nor are those that lie in the folder
    under another number; frames that are alike are rendered once. Each file is written whole or not at all, so that
    an interrupted run loses only the frame in hand.

    Args:
        client: connected.
        portrait: what the client prepared.
        points: (T, 70, 2 or 3) float32 pixels of the first reference, a row for each of `frames`.
        frames: T frame numbers, no two alike.
        folder: where the frames go; made if need be.
        only: which of `frames` are brought up to date; all where None. With some, equal frames are not looked for under
            other numbers: a folder that many machines share may hold a hundred thousand.
        size: (width, height) of the frames; the portrait's own by default.
        matte: whether the frames carry the person's alpha.
        layers: of `portrait_shared.layers.LAYERS`: with some the files are layered ones, ``0001.exr`` and so on. With
            `forward` each frame depends on the next of `frames` too.
        colorspace: that the colours of those are written in, of `portrait_shared.layers.COLORSPACES`.
        disclosure: what frames show of having been made.
        again: renders all frames, valid or not; those that are alike still once.
        prefix: what stands before the number in a file's name, see `frame_files.whole_prefix`.
        photo: content hash of the photo that frames are marked with; the first reference's where empty. One photo has
            two, of its pixels with 8 and with 16 bits: with the first, frames of both are known as the same photo's.
        body: (T, 2), see `portrait_shared.body`; as usual where None.
        others: T frames of the portrait's further faces, where it has some.
        times: what layered files say of when they are shown; frames do not become invalid by it.
        cancelled: asked between frames.

    Yields:
        Every frame, once its file is there: first those that are still valid, then those that were copied, then each
        rendered one as it arrives.

    Raises:
        PortraitError: CANCELLED, or what went wrong.
    """
    prepare_folder(folder)
    suffix = LAYERED if layers else PICTURES
    photo = photo or portrait.references[0].digest
    wanted = WantedFrames(
        portrait, points, frames, size or portrait.size, matte, body, others, layers, colorspace, disclosure
    )
    digests = wanted.digests(only)
    valid = {} if again else valid_frames(folder, digests, prefix, suffix)
    for number, sha256 in valid.items():
        yield StoredFrame(number, frame_path(folder, number, prefix, suffix), False, sha256)
    missing = sorted(digests.keys() - valid.keys())
    if not again and missing and only is None:
        sought = {number: digests[number] for number in missing}
        copied = copy_equal_frames(folder, sought, prefix, suffix, partial(_timed, times))
        for number, sha256 in copied.items():
            yield StoredFrame(number, frame_path(folder, number, prefix, suffix), False, sha256)
        missing = sorted(set(missing) - copied.keys())
    if not missing:
        return
    alike: dict[str, list[int]] = {}
    for number in missing:
        alike.setdefault(digests[number], []).append(number)
    stream = wanted.render(client, [numbers[0] for numbers in alike.values()])
    try:
        while stream.done < stream.total:
            if cancelled():
                raise PortraitError(
                    ErrorCode.CANCELLED, "The render was cancelled.", "Render again to go on where it stopped."
                )
            frame = stream.next(_CANCEL_CHECK_SECONDS)
            if frame is not None:
                data = marked(bytes(frame.data), photo)
                for number in alike[frame.digest]:
                    path = frame_path(folder, number, prefix, suffix)
                    timed = _timed(times, data, number)
                    write_frame(path, timed)
                    yield StoredFrame(number, path, True, file_digest(timed))
    finally:
        stream.cancel()


class WantedFrames(NamedTuple):
    """All frames that are asked for, and how they shall be: see `store_frames`."""

    portrait: PortraitHandle
    points: np.ndarray
    frames: Sequence[int]
    size: tuple[int, int]
    matte: bool = False
    body: np.ndarray | None = None
    others: OtherFaces | None = None
    layers: Sequence[str] = ()
    colorspace: str = COLORSPACES[0]
    disclosure: Disclosure = USUALLY_SHOWN

    def digests(self, only: Collection[int] | None = None) -> dict[int, str]:
        """What each frame, or each of `only`, has for its hash."""

        @cache
        def own(row: int) -> str:
            return frame_digest(
                self.portrait.portrait_id, self.points[row], self.size, self.matte,
                None if self.body is None else self.body[row],
                None if self.others is None else self.others.rows(row), self.layers, self.colorspace,
                self.disclosure,
            )  # fmt: skip

        count = len(self.frames)
        chosen = frozenset(self.frames if only is None else only)
        following = followed_rows(self.frames, self.layers)[count:]
        return {
            self.frames[row]: followed_digest(own(row), own(int(following[row]))) if len(following) else own(row)
            for row in range(count)
            if self.frames[row] in chosen
        }

    def render(self, client: Client, drawn: Sequence[int]) -> RenderStream:
        """Asks for some of the frames. What follows one is the next of all frames, not of these."""
        row_of = {number: row for row, number in enumerate(self.frames)}
        those = np.array([row_of[number] for number in drawn])
        rows = followed_rows(self.frames, self.layers).reshape(-1, len(self.frames))[:, those].ravel()
        return client.render(
            self.portrait, self.points[rows], drawn, size=self.size, matte=self.matte,
            encoding="exr" if self.layers else "png", body=None if self.body is None else self.body[rows],
            others=None if self.others is None else self.others.rows(rows), layers=self.layers,
            colorspace=self.colorspace, disclosure=self.disclosure,
        )  # fmt: skip


def _timed(times: FrameTimes | None, data: bytes, number: int) -> bytes:
    return data if times is None or not data.startswith(MAGIC) else timed_exr(data, times, number)
