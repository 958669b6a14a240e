# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences of frames that clients have signed: what they say of them, under the key of the server's user."""

from __future__ import annotations

from portrait_shared.protocol.framing import bad_message
from portrait_shared.protocol.messages import Message, Signed, SignSequence
from portrait_shared.statement import Statement

from portrait_server.provenance.thumbnails import with_thumbnails
from portrait_server.service.budgets import Ledger
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import RequestTask
from portrait_server.service.uploads import Uploads
from portrait_server.service.workers import Workers


class Signing:
    """Used by the service's own thread alone; helpers sign."""

    def __init__(self, helpers: Workers, ledger: Ledger, uploads: Uploads) -> None:
        self._helpers, self._ledger, self._uploads = helpers, ledger, uploads

    def sign_sequence(self, session: Session, message: SignSequence) -> Message | None:
        """Signs; answers later. Raises: PortraitError: BUSY."""
        pictures = [self._uploads.references.get(digest) for digest in message.thumbnails]

        def sign() -> Signed:
            # Only now: what it takes to sign is slow to load.
            from portrait_server.provenance.sequences import renewed_sequence

            hashes, staying = message.files()
            try:
                statement = Statement.parse(bytes(message.statement))
            except ValueError as error:
                raise bad_message(f"`sign_sequence`: {error}.") from error
            before = None if message.before is None else bytes(message.before)
            statement = with_thumbnails(statement, pictures)
            return Signed(message.request, renewed_sequence(statement, message.title, hashes, before, staying))

        held = len(message.names) + message.hashes.nbytes + len(message.before or b"")
        self._helpers.give(
            RequestTask.charged(self._ledger, session, message.request, sign, lambda signed: signed, "helper", held)
        )
        return None
