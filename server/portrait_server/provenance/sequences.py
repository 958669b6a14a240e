# SPDX-License-Identifier: GPL-3.0-or-later
"""The signed manifest of a folder's frames, brought up to date: what a render leaves as it was stays signed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from portrait_shared.statement import Statement

from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.reading import parse_sequence
from portrait_server.provenance.signing import sign_sequence


def renewed_sequence(
    statement: Statement, title: str, hashes: Mapping[str, str], before: bytes | None = None, staying: Sequence[str] = ()
) -> bytes:  # fmt: skip
    """The content of ``frames.c2pa``.

    Args:
        statement: what is said of all frames.
        title: what the file will be called.
        hashes: SHA-256 (hex) of files by their names: those that a render has made or found valid.
        before: the manifest that was there. It counts where it is unaltered, this computer's own, and says that its
            frames were made as these were; whoever else signed it must answer for it alone.
        staying: names of further files, which keep the hashes that they have in it. Those that it does not know stay
            unsigned.

    Returns:
        `before`, whoever signed it, where it says all this already.

    Raises:
        PortraitError: as `sign_sequence`.
    """
    told = None if before is None else parse_sequence(before)
    if told is not None and before is not None:
        credentials, held = told
        stated = credentials.statement
        if credentials.state is CredentialsState.VALID and stated is not None and _making(stated) == _making(statement):
            kept = {**{name: held[name] for name in staying if name in held}, **hashes}
            if stated == statement and kept == held:
                return before
            hashes = kept if credentials.known else hashes
    return sign_sequence(statement, hashes, title)


def _making(statement: Statement) -> Statement:
    """All that decides on pixels: by which release they were drawn, and what is on record of a consent, does not."""
    sources = tuple(dataclasses.replace(source, name="", thumbnail=b"") for source in statement.sources)
    return dataclasses.replace(statement, sources=sources, consents=Statement.consents, release=Statement.release)
