# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait consent`: writes down on what ground a person is animated, for `portrait render --consent`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from portrait_shared.consent import Consent, Ground, document_digest, new_salt, sentence, today
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources


def add_arguments(parser: argparse.ArgumentParser) -> None:
    grounds = [str(ground) for ground in Ground if ground is not Ground.NONE]
    parser.add_argument(
        "--ground", choices=grounds, required=True,
        help="oneself; written: the person agreed in writing; deceased: the person died long ago; artwork: a work of art "
        "of nobody living, or an invented face",
    )  # fmt: skip
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="what holds the consent: its SHA-256 alone is kept"
    )
    parser.add_argument(
        "--person", default="", metavar="NAME", help="whose likeness it is; credentials never name them"
    )
    parser.add_argument("--scope", default="", metavar="TEXT", help="what it may be used for; stays in the record")
    parser.add_argument("--until", default="", metavar="YYYY-MM-DD", help="the last day on which it may be used")
    parser.add_argument("--child", action="store_true", help="the person is a child, for whom those responsible agreed")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the record, JSON")


def run(asked: argparse.Namespace) -> int:
    """Writes the record.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, also for a file that is there; FILE_MISSING, BAD_CONFIGURATION, DISK_FULL.
    """
    keep_sources([asked.output], [asked.document] if asked.document else [])
    if os.path.lexists(asked.output):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{asked.output} is there already, and would be overwritten.",
            "Choose another name: a record that is gone proves nothing any more, and another is never the same.",
        )  # fmt: skip
    consent = Consent(
        Ground(asked.ground), asked.person, document_digest(asked.document) if asked.document else "", asked.scope,
        asked.until, today(), asked.child, new_salt(),
    )  # fmt: skip
    consent.save(asked.output)
    print(sentence(consent.public))
    print(f"Saved: {asked.output}")
    return 0
