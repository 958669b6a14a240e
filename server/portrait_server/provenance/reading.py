# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials as they are found in files: whose they are, whether they hold, and what they state.

Nothing is fetched from anywhere while they are read, whatever a file asks for.
"""

from __future__ import annotations

import datetime
import io
import json
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from c2pa import C2paError, Context, Reader
from portrait_shared.errors import ErrorCode, PortraitError, shortened
from portrait_shared.files.whole_files import open_without_waiting, read_bounded
from portrait_shared.statement import MAX_THUMBNAIL_BYTES, Source, Statement

from portrait_server.provenance.keys import known_roots
from portrait_server.provenance.manifests import FRAMES_TITLE, STATEMENT_LABEL, Parent, ingredient_id
from portrait_server.provenance.signing import MANIFEST_SUFFIX, hashes_of

MAX_MANIFEST_BYTES: Final = 200_000_000
_MARK: Final = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq"
"""The UUID that a C2PA manifest store begins with, in every kind of file."""
_SETTINGS: Final = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}
_CONTENT: Final = frozenset(f"assertion.{kind}Hash.mismatch" for kind in ("data", "bmff", "boxes", "collection"))
_WHYS: Final = {
    "claimSignature.mismatch": "The signature is not of what it stands under.",
    "claimSignature.outsideValidity": "Its certificate was not valid when it was signed.",
    "signingCredential.expired": "Its certificate was not valid when it was signed.",
    "assertion.hashedURI.mismatch": "What the credentials say was changed after they were signed.",
    "signingCredential.invalid": "Its certificate is none that may sign.",
}
_UNTRUSTED: Final = "signingCredential.untrusted"


class CredentialsState(StrEnum):
    """Whether credentials hold."""

    VALID = "valid"
    ALTERED = "altered"
    """The file is another than the one that was signed."""
    DAMAGED = "damaged"
    """The credentials themselves cannot be relied on."""


@dataclass(frozen=True)
class Credentials:
    """What a file's credentials say.

    Attributes:
        ours: whether this project's release wrote them; with credentials of another program, `statement` may be of
            an earlier step.
        tool: which program did, with its version; empty where they cannot be read.
        signer: who signed, by the certificate: name and organisation.
        known: whether that certificate comes from this computer's key, the user's, or a root that was given.
        signed_at: when, as the signer says.
        stamped: whether a time-stamp server vouches for that.
        statement: what they state of frames, in this project's own words; None where they do not.
        why: one sentence, where they are not valid.
    """

    state: CredentialsState
    ours: bool = False
    tool: str = ""
    signer: str = ""
    known: bool = False
    signed_at: datetime.datetime | None = None
    stamped: bool = False
    statement: Statement | None = None
    why: str = ""


def read_credentials(path: Path, trust: bytes = b"") -> Credentials | None:
    """A file's credentials, in it or in a side-car beside it; None where it has none.

    Args:
        trust: PEM of further roots whose certificates count as known.

    Raises:
        PortraitError: FILE_MISSING: it is not there, or cannot be read.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            found = _read(file, None, trust)
            side_car = path.with_suffix(MANIFEST_SUFFIX)
            if found is not None or side_car == path or not side_car.is_file():
                return found
            manifest = read_bounded(side_car, MAX_MANIFEST_BYTES)
            return None if _listing(manifest) is not None else _read(file, manifest, trust)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PortraitError(ErrorCode.FILE_MISSING, f"Cannot read {path}: {why}.", "Check the path.") from error


def read_sequence(path: Path, trust: bytes = b"") -> tuple[Credentials, dict[str, str]] | None:
    """What `frames.c2pa` says, and the SHA-256 (hex) of each frame by its file's name. None where a file is of no
    sequence; no frames where it is damaged.

    Raises:
        PortraitError: FILE_MISSING: it is not there, or cannot be read.
    """
    try:
        manifest = read_bounded(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror}.", "Check the path."
        ) from error
    try:
        listing = _listing(manifest)
    except C2paError as error:
        return _unreadable(error), {}
    if listing is None:
        return None
    found = _read(io.BytesIO(listing), manifest, trust) or _unreadable(None)
    try:
        return found, hashes_of(listing)
    except ValueError:
        return _unreadable(None), {}


def parent_of(path: Path) -> Parent | None:
    """Credentials of a sequence, for what is made of its frames; None where they do not hold.

    Raises:
        PortraitError: as `read_sequence`.
    """
    found = read_sequence(path)
    if found is None or found[0].state is not CredentialsState.VALID:
        return None
    manifest = read_bounded(path, MAX_MANIFEST_BYTES)
    listing = _listing(manifest) or b""
    with _context(b"") as context, Reader("text/plain", io.BytesIO(listing), manifest, context) as reader:
        return Parent(
            path.name, "text/plain", manifest, _told(reader)["active_manifest"], reader.get_validation_results()
        )


def _context(roots: bytes) -> Context:
    verify = {**_SETTINGS}
    return Context.from_dict(
        {"verify": verify, "trust": {"user_anchors": roots.decode(errors="replace")} if roots else {}}
    )


def _read(file: BinaryIO, manifest: bytes | None, trust: bytes) -> Credentials | None:
    form = None if manifest is None else "application/octet-stream"
    try:
        with _context(known_roots() + trust) as context, Reader(form, file, manifest, context) as reader:
            return _credentials(reader)
    except C2paError.ManifestNotFound:
        return None
    except C2paError as error:
        return _unreadable(error) if manifest is not None or _is_marked(file) else None


def _is_marked(file: BinaryIO) -> bool:
    """Whether a file that cannot be read holds credentials, or did."""
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_MARK) >= 0
    except (OSError, ValueError):  # empty, or no file
        return False


def _unreadable(error: C2paError | None) -> Credentials:
    why = f": {shortened(str(error), 200)}" if error is not None and str(error) else ""
    return Credentials(CredentialsState.DAMAGED, why=f"The credentials cannot be read{why}.")


def _told(reader: Reader) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(reader.json())
    return told


def _credentials(reader: Reader) -> Credentials:
    told = _told(reader)
    manifests = told.get("manifests", {})
    active = manifests.get(told.get("active_manifest"), {})
    results = told.get("validation_results") or {}
    codes = {
        kind: {each.get("code") for each in results.get("activeManifest", {}).get(kind, [])}
        for kind in ("success", "failure")
    }
    signature = active.get("signature_info") or {}
    generator: dict[str, str] = next(iter(active.get("claim_generator_info") or []), {})
    state, why = _state(reader, codes["failure"] - {_UNTRUSTED})
    thumbnails = _thumbnails(manifests.values())
    stated = (_statement(reader, each, thumbnails) for each in (active, *manifests.values()))
    return Credentials(
        state,
        ours=_assertion(active, STATEMENT_LABEL) is not None,
        tool=" ".join(filter(None, (generator.get("name", ""), generator.get("version", "")))),
        signer=", ".join(dict.fromkeys(filter(None, (signature.get("common_name"), signature.get("issuer"))))),
        known="signingCredential.trusted" in codes["success"],
        signed_at=_time(signature.get("time")) or _time(_claimed_time(active)),
        stamped="timeStamp.validated" in codes["success"] and bool(signature.get("time")),
        statement=next((each for each in stated if each is not None), None),
        why=why,
    )  # fmt: skip


def _state(reader: Reader, failures: set[str]) -> tuple[CredentialsState, str]:
    if not failures and reader.get_validation_state() in ("Valid", "Trusted"):
        return CredentialsState.VALID, ""
    if failures and failures <= _CONTENT:
        return CredentialsState.ALTERED, "The file was changed after it was signed."
    known = [_WHYS[code] for code in _WHYS if code in failures]
    return CredentialsState.DAMAGED, known[
        0
    ] if known else f"They do not hold ({', '.join(sorted(failures)) or 'an earlier step'})."


def _assertion(manifest: Mapping[str, Any], label: str) -> Any:
    return next((each.get("data") for each in manifest.get("assertions", []) if each.get("label") == label), None)


def _statement(reader: Reader, manifest: Mapping[str, Any], thumbnails: Mapping[str, str]) -> Statement | None:
    try:
        stated = Statement.of_json(_assertion(manifest, STATEMENT_LABEL))
    except ValueError:
        return None
    return replace(stated, sources=tuple(_with_thumbnail(reader, each, thumbnails) for each in stated.sources))


def _thumbnails(manifests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Where the pictures of ingredients are, by the ingredients' ids."""
    return {
        each["instance_id"]: each["thumbnail"].get("identifier", "")
        for manifest in manifests for each in manifest.get("ingredients", [])
        if "instance_id" in each and isinstance(each.get("thumbnail"), dict)
    }  # fmt: skip


def _with_thumbnail(reader: Reader, source: Source, thumbnails: Mapping[str, str]) -> Source:
    name = thumbnails.get(ingredient_id(source.digest))
    if name is None:
        return source
    content = io.BytesIO()
    try:
        reader.resource_to_stream(name, content)
        return (
            replace(source, thumbnail=content.getvalue()) if len(content.getvalue()) <= MAX_THUMBNAIL_BYTES else source
        )
    except (C2paError, ValueError):
        return source


def _claimed_time(manifest: Mapping[str, Any]) -> Any:
    actions = (_assertion(manifest, "c2pa.actions.v2") or {}).get("actions", [])
    return next((each["when"] for each in actions if each.get("when")), None)


def _time(text: Any) -> datetime.datetime | None:
    try:
        told = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=datetime.UTC)


def _listing(manifest: bytes) -> bytes | None:
    """The list of a sequence's frames in its credentials; None in other credentials.

    Raises:
        C2paError: they cannot be read.
    """
    with _context(b"") as context, Reader("application/c2pa", io.BytesIO(manifest), context=context) as reader:
        told = _told(reader)
        active = told.get("manifests", {}).get(told.get("active_manifest"), {})
        for each in active.get("ingredients", []):
            if each.get("title") == FRAMES_TITLE and isinstance(each.get("data"), dict):
                content = io.BytesIO()
                reader.resource_to_stream(each["data"].get("identifier", ""), content)
                return content.getvalue()
    return None
