# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials as they are found in files: whose they are, whether they hold, and what they state.

Nothing is fetched from anywhere while they are read, whatever a file asks for.
"""

from __future__ import annotations

import errno
import io
import mmap
import ssl
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

from c2pa import C2paError, Context, Reader
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import open_without_waiting, read_bounded

from portrait_server.provenance.credentials import Credentials, CredentialsState, Judged, judged, told_by, unreadable
from portrait_server.provenance.keys import known_certificates
from portrait_server.provenance.listings import hashes_of, listing_of
from portrait_server.provenance.manifests import FRAMES_TITLE, Parent

MANIFEST_SUFFIX: Final = ".c2pa"
MAX_MANIFEST_BYTES: Final = 200_000_000
_MARK: Final = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq"
"""The UUID that a C2PA manifest store begins with, in every kind of file."""
_SETTINGS: Final = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}


def read_credentials(path: Path, trust: bytes = b"") -> Credentials | None:
    """A file's credentials, in it or in a side-car beside it; None where it has none.

    Args:
        trust: PEM of further roots whose certificates count as known.

    Raises:
        PortraitError: FILE_MISSING: it is not there, or cannot be read; BAD_CONFIGURATION: `trust` holds no certificates.
    """
    trust = _checked(trust)
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not file.seekable():
                raise OSError(errno.EINVAL, "it is not a file")
            found = _read(file, None, trust)
            side_car = side_car_of(path)
            if found is not None or side_car == path or not side_car.is_file():
                return found
            return _of_side_car(file, path.name, read_bounded(side_car, MAX_MANIFEST_BYTES), trust)
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error


def side_car_of(path: Path) -> Path:
    """Where the credentials of a file lie that cannot hold them."""
    return path.with_suffix(MANIFEST_SUFFIX)


def is_side_car_of(path: Path) -> bool:
    """Whether the side-car of a file that is there says that it is that file's: beside `shot.mxf` may lie `shot.png`."""
    try:
        title, listing = _contents(read_bounded(side_car_of(path), MAX_MANIFEST_BYTES))
    except (OSError, C2paError):
        return False
    return listing is None and title == path.name


def read_sequence(path: Path, trust: bytes = b"") -> tuple[Credentials, dict[str, str]] | None:
    """As `parse_sequence`, of a file.

    Raises:
        PortraitError: FILE_MISSING: it is not there, or cannot be read; BAD_CONFIGURATION: `trust` holds no certificates.
    """
    try:
        manifest = read_bounded(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise _missing(path, error) from error
    return parse_sequence(manifest, trust)


def parse_sequence(manifest: bytes, trust: bytes = b"") -> tuple[Credentials, dict[str, str]] | None:
    """What the content of `frames.c2pa` says, and the SHA-256 (hex) of each frame by its file's name. None for credentials
    of anything else; no frames where it is damaged.

    Raises:
        PortraitError: BAD_CONFIGURATION: `trust` holds no certificates.
    """
    trust = _checked(trust)
    try:
        _, listing = _contents(manifest)
    except C2paError as error:
        return unreadable(error), {}
    if listing is None:
        return None
    found = _read(io.BytesIO(listing), manifest, trust) or unreadable(None)
    try:
        return found, hashes_of(listing)
    except ValueError:
        return unreadable(None), {}


def parent_of(path: Path) -> Parent | None:
    """Credentials of a sequence, for what is made of its frames; None where they do not hold.

    Raises:
        PortraitError: FILE_MISSING: it is not there, or cannot be read.
    """
    try:
        manifest = read_bounded(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise _missing(path, error) from error
    found = parse_sequence(manifest)
    if found is None or found[0].state is not CredentialsState.VALID:
        return None
    listing = io.BytesIO(listing_of(found[1]))
    with _context(b"") as context, Reader("text/plain", listing, manifest, context) as reader:
        return Parent(
            path.name, "text/plain", manifest, told_by(reader)["active_manifest"], reader.get_validation_results()
        )


def _missing(path: Path, error: OSError | ValueError) -> PortraitError:
    why = getattr(error, "strerror", None) or error
    return PortraitError(ErrorCode.FILE_MISSING, f"Cannot read {path}: {why}.", "Check the path.")


def _checked(trust: bytes) -> bytes:
    try:
        certificates = x509.load_pem_x509_certificates(trust) if trust else []
    except ValueError as error:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"What is to be trusted holds no certificates: {error}.", "Give them as PEM."
        ) from error
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _context(roots: bytes) -> Context:
    return Context.from_dict({"verify": _SETTINGS, "trust": {"user_anchors": roots.decode()} if roots else {}})


def _of_side_car(file: BinaryIO, name: str, manifest: bytes, trust: bytes) -> Credentials | None:
    """What a side-car says of a file. Of one that is called otherwise than the side-car says, it may know nothing: a
    picture beside a movie of the same name. Only where it fits, the file was renamed."""
    try:
        title, listing = _contents(manifest)
    except C2paError as error:
        return unreadable(error)
    found = None if listing is not None else _read(file, manifest, trust)
    return found if found is None or title == name or found.hold else None


def _read(file: BinaryIO, manifest: bytes | None, trust: bytes) -> Credentials | None:
    form = None if manifest is None else "application/octet-stream"

    def look(roots: bytes) -> Judged:
        file.seek(0)
        with _context(roots) as context, Reader(form, file, manifest, context) as reader:
            return judged(reader)

    roots, serials = known_certificates()
    try:
        found = look(roots)
        # Others may have certificates of the root that issued the user's.
        known = (found.trusted and found.serial in serials) or (bool(trust) and look(trust).trusted)
        # Anybody can run a server that vouches for any date.
        stamped = found.credentials.stamped and look(_system_roots() + trust).stamp_trusted
        return replace(found.credentials, known=known, stamped=stamped)
    except C2paError.ManifestNotFound:
        return None
    except C2paError as error:
        return unreadable(error) if manifest is not None or _is_marked(file) else None


@cache
def _system_roots() -> bytes:
    """PEM of the authorities that the system trusts, as far as it tells them."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, ssl.create_default_context().get_ca_certs(binary_form=True))).encode()


def _is_marked(file: BinaryIO) -> bool:
    """Whether a file that cannot be read holds credentials, or did."""
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_MARK) >= 0
    except (OSError, ValueError):  # empty, or no file
        return False


def _contents(manifest: bytes) -> tuple[str, bytes | None]:
    """What credentials without their file say: the file's name, and the list of a sequence's frames, if they are of one.

    Raises:
        C2paError: they cannot be read.
    """
    with _context(b"") as context, Reader("application/c2pa", io.BytesIO(manifest), context=context) as reader:
        told = told_by(reader)
        active = told.get("manifests", {}).get(told.get("active_manifest"), {})
        for each in active.get("ingredients", []):
            if each.get("title") == FRAMES_TITLE and isinstance(each.get("data"), dict):
                content = io.BytesIO()
                reader.resource_to_stream(each["data"].get("identifier", ""), content)
                return str(active.get("title", "")), content.getvalue()
    return str(active.get("title", "")), None
