# SPDX-License-Identifier: GPL-3.0-or-later
"""From landmarks to frame files: the one loop that the extension and the command line share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import (
    copy_equal_frames,
    frame_path,
    missing_frames,
    prepare_folder,
    write_frame,
)
from portrait_shared.frames.frame_marks import marked_png
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.references import PortraitHandle

_CANCEL_CHECK_SECONDS = 0.2


class StoredFrame(NamedTuple):
    """A frame whose file is there.

    Attributes:
        drawn: whether it was rendered now; else it was still valid, or is a copy of one that was.
    """

    number: int
    path: Path
    drawn: bool


def store_frames(
    client: Client,
    portrait: PortraitHandle,
    points: np.ndarray,
    frames: Sequence[int],
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    matte: bool = False,
    again: bool = False,
    prefix: str = "",
    photo: str = "",
    body: np.ndarray | None = None,
    others: OtherFaces | None = None,
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
        size: (width, height) of the frames; the portrait's own by default.
        matte: whether the frames carry the person's alpha.
        again: renders all frames, valid or not; those that are alike still once.
        prefix: what stands before the number in a file's name, see `frame_files.whole_prefix`.
        photo: content hash of the photo that frames are marked with; the first reference's where empty. One photo has
            two, of its pixels with 8 and with 16 bits: with the first, frames of both are known as the same photo's.
        body: (T, 2), see `portrait_shared.body`; as usual where None.
        others: T frames of the portrait's further faces, where it has some.
        cancelled: asked between frames.

    Yields:
        Every frame, once its file is there: first those that are still valid, then those that were copied, then each
        rendered one as it arrives.

    Raises:
        PortraitError: CANCELLED, or what went wrong.
    """
    prepare_folder(folder)
    size = portrait.size if size is None else size
    row_of = {number: row for row, number in enumerate(frames)}
    digests = {
        number: client.frame_digest(
            portrait,
            points[row],
            size,
            matte,
            None if body is None else body[row],
            None if others is None else others.rows(row),
        )
        for number, row in row_of.items()
    }
    missing = sorted(digests) if again else missing_frames(folder, digests, prefix)
    for number in sorted(row_of.keys() - set(missing)):
        yield StoredFrame(number, frame_path(folder, number, prefix), False)
    if not again and missing:
        copied = copy_equal_frames(folder, {number: digests[number] for number in missing}, prefix)
        for number in copied:
            yield StoredFrame(number, frame_path(folder, number, prefix), False)
        missing = sorted(set(missing) - set(copied))
    if not missing:
        return
    alike: dict[str, list[int]] = {}
    for number in missing:
        alike.setdefault(digests[number], []).append(number)
    drawn = [numbers[0] for numbers in alike.values()]
    photo = photo or portrait.references[0].digest
    rows = np.array([row_of[number] for number in drawn])
    stream = client.render(
        portrait, points[rows], drawn, size=size, matte=matte, encoding="png",
        body=None if body is None else body[rows], others=None if others is None else others.rows(rows),
    )  # fmt: skip
    try:
        while stream.done < stream.total:
            if cancelled():
                raise PortraitError(
                    ErrorCode.CANCELLED, "The render was cancelled.", "Render again to go on where it stopped."
                )
            frame = stream.next(_CANCEL_CHECK_SECONDS)
            if frame is not None:
                data = marked_png(bytes(frame.data), photo)
                for number in alike[frame.digest]:
                    write_frame(frame_path(folder, number, prefix), data)
                    yield StoredFrame(number, frame_path(folder, number, prefix), True)
    finally:
        stream.cancel()
