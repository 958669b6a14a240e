# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of a movie or a picture that is made of rendered frames: what is said of these.

It comes from the credentials of their sequence where these hold and name every frame as it is; else from what each frame's
file says of itself, as long as its seal is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import file_digest
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES, FrameMark, mark_of
from portrait_shared.statement import MAX_SOURCES, Source, SourceKind, Statement

from portrait_server.disclosure.find_watermark import find_in_frames
from portrait_server.media.images import read_image
from portrait_server.media.source_types import draws_with_networks
from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.manifests import Parent
from portrait_server.provenance.reading import parent_of, read_sequence

_FRAMES_SEARCHED = 4


@dataclass(frozen=True)
class Attribution:
    """What is said of something made of frames.

    Attributes:
        parent: the credentials of their sequence; None where they have none, or it names other files than these.
    """

    statement: Statement
    parent: Parent | None = None


def attribute(files: Sequence[Path], sequence: Path) -> Attribution:
    """What is to be said of what is made of frames.

    Args:
        files: of the frames, at least one; read whole.
        sequence: where the credentials of their sequence are, if there are any.

    Raises:
        PortraitError: FILE_MISSING; SIGNING_FAILED: nothing true can be said, since one was altered, or is none of ours.
    """
    contents = _Contents(files)
    if sequence.is_file() and (found := read_sequence(sequence)) is not None:
        credentials, named = found
        stated = credentials.statement if credentials.state is CredentialsState.VALID else None
        if stated is not None and all(named.get(path.name) == digest for path, digest in contents.digests()):
            return Attribution(stated, parent_of(sequence))
    return Attribution(_stated(files, contents.marks()))


@dataclass(frozen=True)
class _Contents:
    """Frames' files, read one by one: many thousands do not fit into memory."""

    files: Sequence[Path]

    def _read(self, path: Path) -> bytes:
        try:
            return read_bounded(path, MAX_FRAME_BYTES)
        except OSError as error:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror}.", "Render the frame again."
            ) from error

    def digests(self) -> Iterator[tuple[Path, str]]:
        return ((path, file_digest(self._read(path))) for path in self.files)

    def marks(self) -> list[FrameMark]:
        marks = [mark_of(self._read(path)) for path in self.files]
        if altered := [path for path, mark in zip(self.files, marks, strict=True) if mark is None]:
            more = f" and {len(altered) - 1} more were" if len(altered) > 1 else " was"
            raise PortraitError(
                ErrorCode.SIGNING_FAILED,
                f"{altered[0].name}{more} altered since, or never rendered here: nothing true can be said of it.",
                "Render the frames again, or leave out the credentials.",
            )
        return [mark for mark in marks if mark is not None]


def _stated(files: Sequence[Path], marks: Sequence[FrameMark]) -> Statement:
    """What unsigned frames say of themselves. That nothing is on record of a consent is all that is known of one."""
    drawn = [(path, mark) for path, mark in zip(files, marks, strict=True) if mark.engine]
    if not drawn:
        raise PortraitError(
            ErrorCode.SIGNING_FAILED, "None of the frames was drawn: they are the shot's own, of which nothing is to be said.",
            "Leave out the credentials.",
        )  # fmt: skip
    engines = sorted({mark.engine for _, mark in drawn})
    photos = list(dict.fromkeys(mark.photo for _, mark in drawn if mark.photo))[:MAX_SOURCES]
    watermark = find_in_frames(read_image(path) for path, _ in drawn[:_FRAMES_SEARCHED])
    return Statement(
        " and ".join(engines), "", any(map(draws_with_networks, engines)),
        tuple(Source(SourceKind.REFERENCE, photo) for photo in photos),
        watermark=watermark.identifier if watermark is not None else None, release=drawn[0][1].release or Statement.release,
    )  # fmt: skip
