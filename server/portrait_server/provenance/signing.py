# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials (C2PA) of files and of sequences of frames.

A sequence gets one signature, over the list of its frames' hashes (`frames.c2pa`). What C2PA can hold its manifest in gets it
into the file; any other file gets a side-car beside it, of its name with the suffix `.c2pa`.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import shutil
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final

from c2pa import Builder, C2paError, Context
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import open_without_waiting, partial_file, replace_file, write_error
from portrait_shared.statement import Statement

from portrait_server.provenance.keys import SETTINGS_FILE, SigningKey, signing_folder, signing_key
from portrait_server.provenance.listings import listing_of
from portrait_server.provenance.manifests import Manifest, Parent, manifest_of, sequence_manifest
from portrait_server.provenance.own_key import OWN_KEY_FILE
from portrait_server.provenance.reading import is_side_car_of, side_car_of

SEQUENCE_FILE: Final = "frames.c2pa"
"""What a sequence's credentials are called, behind the prefix of its frames."""
FORMATS: Final = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".tif": "image/tiff", ".tiff": "image/tiff",
    ".webp": "image/webp", ".avif": "image/avif", ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime",
}  # fmt: skip
"""Files that can hold their credentials themselves, by suffix."""
_BLOCK_BYTES: Final = 2**20
_MANIFEST: Final = "application/c2pa"
_SETTINGS: Final = {
    "builder": {"thumbnail": {"enabled": False}},
    # Else a movie is held in memory twice.
    "core": {"backing_store_memory_threshold_in_mb": 16},
}


def sign_sequence(statement: Statement, hashes: Mapping[str, str], title: str = SEQUENCE_FILE) -> bytes:
    """The content of `frames.c2pa`: a C2PA manifest store, bound to `listing_of` of the frames and holding it.

    Some 75 bytes and 3 µs a frame; the time for a signature, some 2 ms, is that of a single file.

    Args:
        hashes: SHA-256 (hex) of each frame's file, by its name without a folder.
        title: what the file will be called.

    Raises:
        ValueError: names or hashes are none, or too many.
        PortraitError: SIGNING_FAILED, BAD_CONFIGURATION, FILE_MISSING, OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    return _signed(sequence_manifest(statement, listing_of(hashes), title, _now()), _MANIFEST, io.BytesIO())


def sign_file(
    path: Path, statement: Statement, *, parent: Parent | None = None, source: BinaryIO | None = None
) -> Path:  # fmt: skip
    """Gives a file its credentials, whole or not at all.

    Args:
        path: a picture or a movie made of what the statement tells of.
        parent: credentials of the sequence that a movie was made of, see `reading.parent_of`.
        source: what the file shall hold beside its credentials; with None, what it holds.

    Returns:
        The file that holds them: `path`, or the side-car of a file that cannot.

    Raises:
        PortraitError: FILE_MISSING; SIGNING_FAILED, also for a damaged file; BAD_CONFIGURATION; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    if source is None:
        with _opened(path) as own:
            return _sign_from(own, path, manifest_of(statement, path.name, _now(), parent))
    return _sign_from(source, path, manifest_of(statement, path.name, _now(), parent), copied=True)


def _sign_from(source: BinaryIO, path: Path, made: Manifest, *, copied: bool = False) -> Path:
    form = FORMATS.get(path.suffix.lower())
    side_car = side_car_of(path)
    if form is None and side_car.exists() and not is_side_car_of(path):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{side_car} holds the credentials of something else.",
            f"Give {path.name} another name.",
        )  # fmt: skip
    try:
        if form is not None:
            with partial_file(path) as partial, partial.open("r+b") as target:
                _signed(made, form, source, target)
            return path
        made.bind(_digest(source))
        manifest = _signed(made, _MANIFEST, io.BytesIO())
        if copied:
            source.seek(0)
            with partial_file(path) as partial, partial.open("r+b") as target:
                shutil.copyfileobj(source, target)
        replace_file(side_car, manifest)
        return side_car
    except OSError as error:
        raise write_error(path, error) from error


def _digest(source: BinaryIO) -> str:
    total = hashlib.sha256()
    while block := source.read(_BLOCK_BYTES):
        total.update(block)
    return total.hexdigest()


def remove_side_car(path: Path) -> None:
    """Removes what was said of a file that another has replaced.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE.
    """
    side_car = side_car_of(path)
    if side_car == path or not side_car.exists() or not is_side_car_of(path):
        return
    try:
        side_car.unlink()
    except OSError as error:
        raise write_error(side_car, error) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            yield file
    except FileNotFoundError as error:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.") from error


def _signed(made: Manifest, form: str, source: BinaryIO, target: Any = None) -> bytes:
    """Signs; returns the manifest store.

    Args:
        target: gets the source's content with the manifest in it; with None, only the manifest is made.
    """
    key, failures = signing_key(), list[PortraitError]()
    try:
        with (
            # A command may print anything for a signature.
            Context.from_dict({**_SETTINGS, "verify": {"verify_after_sign": bool(key.command)}}) as context,
            key.signer(failures) as signer,
            Builder(made.text, context=context) as builder,
        ):
            for name, content in made.resources.items():
                builder.add_resource(name, io.BytesIO(content))
            if target is None:
                builder.set_no_embed()
            manifest: bytes = builder.sign(signer, form, source, io.BytesIO() if target is None else target)
            return manifest
    except C2paError as error:
        raise failures[0] if failures else _failed(key, error) from error


def _failed(key: SigningKey, error: C2paError) -> PortraitError:
    now, certificate = datetime.datetime.now(datetime.UTC), key.certificate
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        return PortraitError(
            ErrorCode.SIGNING_FAILED,
            f"Nothing was signed: its certificate is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, and this computer's clock "
            f"says {now:%Y-%m-%d}.",
            f"Set the clock if it is wrong; else have {SETTINGS_FILE} name a certificate that is valid, or delete {OWN_KEY_FILE}, "
            f"where that has signed: a new one is made. Both lie in {signing_folder()}.",
        )  # fmt: skip
    if "certificate is invalid" in str(error):
        remedy = (
            f"Have {SETTINGS_FILE} name one that was issued for signing documents or e-mail, by another certificate, and not "
            "for web servers."
        )
    elif key.time_stamp_server and "http" in str(error):
        remedy = f"See that the time-stamp server {key.time_stamp_server} can be reached, or name none."
    else:
        remedy = f"See that the file is whole, and that what {SETTINGS_FILE} names, if there is one, belongs together."
    return PortraitError(ErrorCode.SIGNING_FAILED, f"Nothing was signed: {error}.", remedy)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
