# SPDX-License-Identifier: GPL-3.0-or-later
"""What the credentials of frames are asked to say on the command line, for every command that makes frames."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from portrait_shared.consent import Consent, spelled_date
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.commands.logs import tell_note
from portrait_server.farm.stating import Said


def add_credential_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds all that `said_of` reads."""
    group = parser.add_argument_group("Content Credentials")
    group.add_argument("--consent", type=Path, action="append", default=[], metavar="FILE",
                       help="a record of consent, as `portrait consent` writes it, of the face that the next or only --track "
                            "drives (default: no record, and this is said)")  # fmt: skip
    group.add_argument("--thumbnails", action="store_true",
                       help="put small pictures of the photos, or of the shot, into the credentials")  # fmt: skip
    group.add_argument("--no-credentials", action="store_true",
                       help="do not sign the frames: nobody can then check who made them, and whether they were altered; "
                            "what each file says of itself, unsigned, stays")  # fmt: skip


def said_of(asked: argparse.Namespace) -> Said | None:
    """What was asked for; None where frames shall have no credentials. A consent that has ended is told.

    Raises:
        PortraitError: as `Consent.load`; BAD_CONFIGURATION for more records than faces.
    """
    if len(asked.consent) > max(1, len(asked.track)):
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{len(asked.consent)} records of consent were given for {len(asked.track)} faces.",
            "Give one --consent for each --track, in the same order.",
        )  # fmt: skip
    said = Said(tuple(map(Consent.load, asked.consent)), asked.thumbnails)
    for path, consent in zip(asked.consent, said.consents, strict=True):
        if consent.ended(datetime.datetime.now(datetime.UTC).date()):
            tell_note(asked, f"The consent of {path} ended on {spelled_date(consent.until)}.")
    return None if asked.no_credentials else said
