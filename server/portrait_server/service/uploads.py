# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients hand over: photographs and personal files, kept by content, and pictures' files to be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.messages import (
    Message,
    OfferPersonal,
    OfferReference,
    PictureRead,
    ReadPicture,
    ReferenceState,
)
from portrait_shared.protocol.references import check_image

from portrait_server.media.deep_pictures import Depth
from portrait_server.media.images import decode_image
from portrait_server.service.budgets import Ledger
from portrait_server.service.counters import Counters
from portrait_server.service.portraits import PERSONAL_BYTES, REFERENCE_BYTES, Store
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import RequestTask
from portrait_server.service.workers import Workers


class Uploads:
    """Used by the service's own thread alone; helpers verify that things are what they were offered as.

    Attributes:
        references: photographs.
        personals: personal files.
    """

    def __init__(self, helpers: Workers, ledger: Ledger, counters: Counters) -> None:
        self.references: Store[np.ndarray] = Store(REFERENCE_BYTES)
        self.personals: Store[PersonalFile] = Store(PERSONAL_BYTES)
        self._counters = counters
        self._helpers = helpers
        self._ledger = ledger

    def offer_reference(self, session: Session, message: OfferReference) -> Message | None:
        """Whether the photograph is there; takes it where it came along, and answers later."""
        known = self.references.get(message.digest) is not None
        if known or message.image is None:
            return ReferenceState(message.request, known)
        image = message.image

        def verify() -> bool:
            return image_digest(image) == message.digest

        def keep(genuine: bool) -> Message:
            if not genuine:
                raise PortraitError(ErrorCode.BAD_IMAGE, "The image is not the one that was offered.", "Send it again.")
            self.references.put(message.digest, image, image.nbytes)
            return ReferenceState(message.request, True)

        self._give(session, message.request, verify, keep, image.nbytes)
        self._counters.received_image()
        return None

    def offer_personal(self, session: Session, message: OfferPersonal) -> Message | None:
        """Whether the personal file is there; takes it where it came along, and answers later."""
        known = self.personals.get(message.digest) is not None
        if known or message.content is None:
            return ReferenceState(message.request, known)
        content = message.content

        def verify() -> PersonalFile:
            file = PersonalFile(bytes(content))
            if file.digest != message.digest:
                raise PortraitError(
                    ErrorCode.BAD_WEIGHTS, "The personal file is not the one that was offered.", "Send it again."
                )
            return file

        def keep(file: PersonalFile) -> Message:
            self.keep(file)
            return ReferenceState(message.request, True)

        self._give(session, message.request, verify, keep, len(content))
        return None

    def read_picture(self, session: Session, message: ReadPicture) -> Message | None:
        """Reads a picture's file; answers later, and keeps nothing."""

        def read() -> PictureRead:
            depth: Depth = 16 if message.depth == 16 else 8
            return PictureRead(message.request, check_image(decode_image(message.content, message.suffix, depth=depth)))

        self._give(session, message.request, read, lambda picture: picture, len(message.content))
        return None

    def keep(self, file: PersonalFile) -> None:
        """Keeps a personal file that is known to be one."""
        self.personals.put(file.digest, file, len(file.content))

    def image(self, digest: str) -> np.ndarray:
        """Raises: PortraitError: UNKNOWN_REFERENCE."""
        image = self.references.get(digest)
        if image is None:
            raise _forgotten("image")
        return image

    def personal(self, digest: str | None) -> PersonalFile | None:
        """None for None. Raises: PortraitError: UNKNOWN_REFERENCE."""
        if digest is None:
            return None
        file = self.personals.get(digest)
        if file is None:
            raise _forgotten("personal file")
        return file

    def _give(
        self, session: Session, request: int, run: Callable[[], Any], finish: Callable[[Any], Message], held: int
    ) -> None:
        self._helpers.give(RequestTask.charged(self._ledger, session, request, run, finish, "helper", held))


def _forgotten(what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.UNKNOWN_REFERENCE, f"The server does not hold this {what} any more.", "Send it again."
    )
