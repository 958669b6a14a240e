# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of the frames that a render leaves in a folder: one signed file beside them, ``frames.c2pa``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from portrait_shared.client.client import Client
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.consent import NO_CONSENT, Consent
from portrait_shared.digest import tuned_fingerprint
from portrait_shared.disclosure import Disclosure, watermark_id
from portrait_shared.errors import PortraitError
from portrait_shared.files.whole_files import read_bounded, write_error, write_whole
from portrait_shared.frames.frame_files import credentials_path, frame_names
from portrait_shared.protocol.client_messages import MAX_MANIFEST_BYTES
from portrait_shared.protocol.references import PortraitHandle
from portrait_shared.statement import Source, SourceKind, Statement

Sign: TypeAlias = Callable[[Mapping[str, str], bytes | None, Sequence[str]], bytes]
"""Signs files: SHA-256 (hex) by name, the manifest before, and the names of further files that stay as they are in it."""


def with_credentials(
    stored: Iterable[StoredFrame], folder: Path, prefix: str, sign: Sign | None, failed: Callable[[PortraitError], None]
) -> Iterator[StoredFrame]:
    """Frames as they are stored; after the last one, or where something ended them, the folder's credentials are written.

    Args:
        stored: as `store_frames` yields them.
        folder, prefix, sign, failed: see `renewed_credentials`.
    """
    with renewed_credentials(folder, prefix, sign, failed) as hashes:
        for frame in stored:
            hashes[frame.path.name] = frame.sha256
            yield frame


@contextlib.contextmanager
def renewed_credentials(
    folder: Path, prefix: str, sign: Sign | None, failed: Callable[[PortraitError], None]
) -> Iterator[dict[str, str]]:  # fmt: skip
    """A context within which frames are written to a folder, and at whose end they are signed, however it ends.

    Args:
        folder, prefix: where and under what names the frames are stored.
        sign: None where they shall have no credentials.
        failed: told why frames that are there could not be signed.

    Yields:
        what takes the SHA-256 (hex) of each file that is there and valid, by its name.
    """
    set_aside(folder, prefix)
    hashes: dict[str, str] = {}
    try:
        yield hashes
    finally:
        try:
            renew_credentials(folder, prefix, hashes, sign)
        except PortraitError as error:
            failed(error)
        except OSError as error:
            failed(write_error(credentials_path(folder, prefix), error))


def set_aside(folder: Path, prefix: str = "") -> None:
    """Puts a folder's credentials out of the way while frames are written, lest they speak of other bytes than are there
    where the process is killed. What they say of frames that stay is not lost."""
    if (path := credentials_path(folder, prefix)).is_file():
        with contextlib.suppress(OSError):  # nothing can be written there: the first frame will tell
            os.replace(path, _aside(folder, prefix))


def renew_credentials(folder: Path, prefix: str, hashes: Mapping[str, str], sign: Sign | None) -> None:
    """Signs frames together with those that lie beside them and were signed before.

    Args:
        hashes: SHA-256 (hex) of files by their names; none where nothing came of the render.
        sign: None where frames shall have no credentials.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL; as `sign`.
        OSError: the folder cannot be read.
    """
    path, aside = credentials_path(folder, prefix), _aside(folder, prefix)
    if sign is None:
        path.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
        return
    before = read_credentials(folder, prefix) or _content(aside)
    manifest = before
    if hashes:
        staying = [] if before is None else sorted(set(frame_names(folder, prefix)).difference(hashes))
        manifest = sign(hashes, before, staying)
    if manifest is None:
        return
    if manifest == before and not path.exists():
        os.replace(aside, path)
    elif manifest != before:
        write_whole(path, manifest)
    aside.unlink(missing_ok=True)


def read_credentials(folder: Path, prefix: str = "") -> bytes | None:
    """The content of a folder's ``frames.c2pa``; None where there is none that can be read."""
    return _content(credentials_path(folder, prefix))


def _aside(folder: Path, prefix: str) -> Path:
    return folder / f".{credentials_path(folder, prefix).name}"


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return read_bounded(path, MAX_MANIFEST_BYTES)
    return None


def statement_of(
    client: Client, portrait: PortraitHandle, photo: str, disclosure: Disclosure, consents: Sequence[Consent] = ()
) -> Statement:  # fmt: skip
    """What is said of a portrait's frames.

    Args:
        client: connected to the server that draws them.
        photo: what frames name as their photo, see `store_frames`; the first reference's hash where empty.
        disclosure: what they show.
        consents: of each face that is driven, in the order in which they are; those that are missing are on no record.
    """
    first, *further = (reference.digest for reference in portrait.references)
    personal = None if portrait.personal is None else portrait.personal.digest
    faces = 1 if portrait.others is None else 1 + len(portrait.others)
    return Statement(
        portrait.engine, tuned_fingerprint(client.server.engines[portrait.engine], personal), bool(portrait.weights),
        tuple(Source(SourceKind.REFERENCE, digest) for digest in (photo or first, *further)), portrait.weights,
        personal or "", public_consents(consents, faces),
        watermark_id(portrait.portrait_id) if disclosure.watermark else None,
        "" if disclosure.label is None else disclosure.label.words, client.server.version,
    )  # fmt: skip


def public_consents(consents: Sequence[Consent], faces: int) -> tuple[dict[str, str], ...]:
    """What is told of each face's consent; of those that are missing, that nothing is on record."""
    missing = (NO_CONSENT,) * (faces - len(consents))
    return tuple(consent.public for consent in (*consents, *missing))
