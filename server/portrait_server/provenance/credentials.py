# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials say, and whether they hold: the library's findings, and our own statement among them."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from c2pa import C2paError, Reader
from portrait_shared.errors import first_line, shortened
from portrait_shared.statement import MAX_THUMBNAIL_BYTES, Source, Statement

from portrait_server.provenance.manifests import STATEMENT_LABEL, ingredient_id

_CONTENT: Final = frozenset(f"assertion.{kind}Hash.mismatch" for kind in ("data", "bmff", "boxes", "collection"))
_EXPIRED: Final = "signingCredential.expired"
_WHYS: Final = {
    "claimSignature.mismatch": "The signature is not of what it stands under.",
    "claimSignature.outsideValidity": "Its certificate was not valid when it was signed.",
    _EXPIRED: "Its certificate was not valid when it was signed.",
    "assertion.hashedURI.mismatch": "What the credentials say was changed after they were signed.",
    "signingCredential.invalid": "Its certificate is none that may sign.",
}
_UNTRUSTED: Final = "signingCredential.untrusted"
_SERIAL_DIGITS: Final = 100


class CredentialsState(StrEnum):
    """Whether credentials hold."""

    VALID = "valid"
    ALTERED = "altered"
    """The file is another than the one that was signed."""
    EXPIRED = "expired"
    """All of it holds, but its certificate is not valid today, and no time stamp tells that it was when it signed."""
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
        stamped: whether a time-stamp server vouches for that, whose certificate the system, or a root that was given, trusts.
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

    @property
    def hold(self) -> bool:
        """Whether they are whole, and of the very file; by whom they were signed is another matter."""
        return self.state in (CredentialsState.VALID, CredentialsState.EXPIRED)


def unreadable(error: C2paError | None) -> Credentials:
    why = f": {shortened(first_line(error), 200)}" if error is not None and str(error) else ""
    return Credentials(CredentialsState.DAMAGED, why=f"The credentials cannot be read{why}.")


def told_by(reader: Reader) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(reader.json())
    return told


class Judged(NamedTuple):
    """What a reader found, given some roots.

    Attributes:
        trusted: whether one of the roots issued the certificate, and it signed.
        serial: the certificate's number.
        stamp_trusted: whether one of the roots issued that of the time-stamp server.
    """

    credentials: Credentials
    trusted: bool
    serial: int
    stamp_trusted: bool


def judged(reader: Reader) -> Judged:
    """What a reader finds. Whether the signer is known, and a time-stamp server one to be believed, is its caller's to say."""
    told = told_by(reader)
    manifests = told.get("manifests", {})
    active = manifests.get(told.get("active_manifest"), {})
    results = told.get("validation_results") or {}
    codes = {
        kind: {each.get("code") for each in results.get("activeManifest", {}).get(kind, [])}
        for kind in ("success", "failure")
    }
    signature = active.get("signature_info") or {}
    generator: dict[str, str] = next(iter(active.get("claim_generator_info") or []), {})
    stamped = "timeStamp.validated" in codes["success"] and bool(signature.get("time"))
    state, why = _state(reader, codes["failure"] - {_UNTRUSTED}, stamped)
    thumbnails = _thumbnails(manifests.values())
    stated = (_statement(reader, each, thumbnails) for each in (active, *manifests.values()))
    found = Credentials(
        state,
        ours=_assertion(active, STATEMENT_LABEL) is not None,
        tool=" ".join(filter(None, (generator.get("name", ""), generator.get("version", "")))),
        signer=", ".join(dict.fromkeys(filter(None, (signature.get("common_name"), signature.get("issuer"))))),
        signed_at=_time(signature.get("time")) or _time(_claimed_time(active)),
        stamped=stamped,
        statement=next((each for each in stated if each is not None), None),
        why=why,
    )
    serial = str(signature.get("cert_serial_number", ""))
    number = int(serial) if serial.isdecimal() and len(serial) < _SERIAL_DIGITS else -1
    signed = "signingCredential.trusted" in codes["success"] and "claimSignature.validated" in codes["success"]
    return Judged(found, signed, number, "timeStamp.trusted" in codes["success"])


def _state(reader: Reader, failures: set[str], stamped: bool) -> tuple[CredentialsState, str]:
    if _EXPIRED in failures and not stamped:
        failures = failures - {_EXPIRED}
        if not failures:
            return (
                CredentialsState.EXPIRED,
                "Its certificate is not valid today, and nothing tells that it was when it signed.",
            )
    elif not failures and reader.get_validation_state() in ("Valid", "Trusted"):
        return CredentialsState.VALID, ""
    if failures and failures <= _CONTENT:
        return CredentialsState.ALTERED, "The file was changed after it was signed."
    known = (_WHYS[code] for code in _WHYS if code in failures)
    unknown = f"They do not hold ({', '.join(sorted(failures)) or 'an earlier step'})."
    return CredentialsState.DAMAGED, next(known, unknown)


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
