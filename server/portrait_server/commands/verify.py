# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait verify`: what made files, from what, when, and whether they have been altered since."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError, legible
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import is_frame

from portrait_server.commands.arguments import tell_progress
from portrait_server.provenance.verdicts import NOT_AS_MADE, OURS, Finding, Verdict, status_of
from portrait_server.provenance.verifying import verify_files

STATUS_TELLS_NOTHING: Final = 2
"""Some files tell of nothing, or of another maker, or cannot be read; none was altered."""
_MOST_CERTIFICATE_BYTES: Final = 1 << 20
_MOST_LIST_BYTES: Final = 1 << 28
_NAMED: Final = 4  # files of one line by their names
_TOGETHER: Final = {
    Finding.UNALTERED: "made with Talking Portraits and not altered since",
    Finding.ALTERED: "altered",
    Finding.DAMAGED: "with damaged credentials",
    Finding.MARKED: "with a watermark, but without credentials",
    Finding.MISSING: "missing",
    Finding.STATED: "with words that prove nothing",
    Finding.OTHER_MAKER: "of another maker",
    Finding.UNTRUSTED: "signed by nobody whom one can rely on",
    Finding.NOTHING: "telling of nothing",
    Finding.UNREADABLE: "unreadable",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE|DIR",
                        help="pictures, films, signed lists of frames (frames.c2pa), or folders of them")  # fmt: skip
    parser.add_argument(
        "--files-from", type=Path, metavar="LIST", help="a text file that names further ones, one a line"
    )
    parser.add_argument("--trust", type=Path, metavar="PEM",
                        help="certificates of those who are trusted besides this computer's own key; what none of them has "
                             "signed then counts as telling of nothing (default: anybody's signature counts)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="say it as a JSON object, each file by itself")
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def run(asked: argparse.Namespace) -> int:
    """Says what was found.

    Raises:
        PortraitError: FILE_MISSING, BAD_CONFIGURATION for a list or certificates that cannot be read.
    """
    paths = [*asked.files, *(_listed(asked.files_from) if asked.files_from else [])]
    if not paths:
        raise PortraitError(ErrorCode.BAD_CONFIGURATION, "No file was named.", "Name files or folders to verify.")
    trusted = None if asked.trust is None else _read(asked.trust, _MOST_CERTIFICATE_BYTES)
    found = verify_files(paths, trusted, tell_progress if asked.progress else lambda done, expected: None)
    verdicts = list(found) if asked.json else list(_said(found))
    status = status_of(verdict.finding for verdict in verdicts)
    if asked.json:
        counts = Counter(str(verdict.finding) for verdict in verdicts)
        told = {"status": status, "counts": counts, "files": [verdict.as_json() for verdict in verdicts]}
        print(json.dumps(told, indent=1))
    elif len(verdicts) > 1:
        print(_summary(verdicts))
    return {OURS: 0, NOT_AS_MADE: 1}.get(status, STATUS_TELLS_NOTHING)


def _said(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Prints what was found, neighbours of which the same is to be said together."""
    for _, group in groupby(verdicts, lambda verdict: (verdict.path.parent, verdict.words)):
        alike = list(group)
        print(f"{legible(_names(alike))}: {alike[0].words}".replace("\n", "?"), flush=True)
        yield from alike


def _names(alike: Sequence[Verdict]) -> str:
    """The files of which one thing is said, as short as people like."""
    names = [verdict.path.name for verdict in alike]
    if len(names) == 1:
        return str(alike[0].path)
    if len(names) > 2 and all(map(is_frame, names)):
        return f"{alike[0].path} to {names[-1]} ({len(names)} frames)"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{alike[0].path}, {', '.join(names[1:_NAMED])}{more}"


def _summary(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.finding for verdict in verdicts)
    parts = [f"{counts[finding]} {_TOGETHER[finding]}" for finding in Finding if counts[finding]]
    return f"{len(verdicts)} files: {', '.join(parts)}."


def _listed(path: Path) -> list[Path]:
    return [Path(os.fsdecode(line)) for line in _read(path, _MOST_LIST_BYTES).split(b"\n") if line]


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror or error}.", "Check the path."
        ) from error
