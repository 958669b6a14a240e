# SPDX-License-Identifier: GPL-3.0-or-later
"""What made files, from what, and whether they have been altered since: by their credentials, else by the seals of frames,
else by the watermark in their pixels."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import MOVIE_SUFFIXES, PICTURE_SUFFIXES
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.exr_header import CutShort
from portrait_shared.frames.frame_files import credentials_path, prefix_of
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES, checked_mark, glance

from portrait_server.provenance import telling
from portrait_server.provenance.looking import look
from portrait_server.provenance.reading import MANIFEST_SUFFIX, is_side_car_of, read_credentials
from portrait_server.provenance.signed_frames import LIST_ENDING, SignedFrames
from portrait_server.provenance.verdicts import Finding, Verdict

_READERS: Final = 4  # a shared folder answers slowly, but many at once
_SHOWN: Final = (*PICTURE_SUFFIXES, *MOVIE_SUFFIXES)
_DIGITS: Final = re.compile(r"(\d+)")


def verify_files(
    paths: Sequence[Path], trusted: bytes | None = None, told: Callable[[int, int], None] = lambda done, expected: None
) -> Iterator[Verdict]:
    """Verifies files: of a folder all pictures, films and signed lists, but nothing in the folders within; of a signed list
    itself, all frames that it names.

    Args:
        trusted: certificates (PEM) of those who are trusted besides this computer's own key; what none of these has signed is
            then `Finding.UNTRUSTED`. None where anybody's signature counts.
        told: hears of files done and expected.

    Yields:
        A verdict for each file in the order asked for, in a folder by name; a frame that a signed list names and that is
        not there has one too.
    """
    verifier = Verifier(trusted)
    files = list(dict.fromkeys(file for path in paths for file in verifier.files_at(path)))
    pool = ThreadPoolExecutor(_READERS, "verifying")
    try:
        # What is read quickly is read by several at once; pixels are looked at one file after another.
        for number, (file, verdict) in enumerate(zip(files, pool.map(verifier.by_words, files), strict=True), 1):
            if verdict is None:
                verdict = by_pixels(file)
            elif verdict.finding is Finding.OTHER_MAKER:
                verdict = _looked_at(verdict)
            yield verifier.judged(verdict)
            told(number, len(files))
    finally:
        pool.shutdown(cancel_futures=True)


class Verifier:
    """One run, which reads each signed list once."""

    def __init__(self, trusted: bytes | None) -> None:
        self._trusted = trusted
        self._lists: dict[Path, SignedFrames] = {}
        self._lock = threading.Lock()

    def files_at(self, path: Path) -> list[Path]:
        """The files that a path stands for, missing ones that a signed list names included."""
        if _is_list(path):
            return [path, *self._list(path).files]
        if path.suffix == MANIFEST_SUFFIX:
            return [_companion(path) or path]
        try:
            there = [file for file in path.iterdir() if _is_shown(file)] if os.path.isdir(path) else []
        except OSError:
            there = []
        named = [file for each in there if _is_list(each) for file in self._list(each).files]
        side_cars = {each for each in there if each.suffix == MANIFEST_SUFFIX and not _is_list(each)}
        files = {*there, *named} - {each for each in side_cars if _companion(each) is not None}
        return sorted(files, key=_natural) or [path]

    def by_words(self, path: Path) -> Verdict | None:
        """What credentials, or a frame's own seal, tell of a file; None where it has neither."""
        if _is_list(path):
            return self._list(path).verdict()
        if os.path.isdir(path):
            return Verdict(path, *_of_folder(path))
        listed = self._listed(path)
        if listed is not None and listed.finding is not Finding.ALTERED:
            return listed
        if not os.path.lexists(path):
            return Verdict(path, Finding.UNREADABLE, "There is no such file.")
        if path.suffix == MANIFEST_SUFFIX:
            if not os.path.isfile(path):
                return Verdict(path, Finding.UNREADABLE, "It is not a file.")
            return Verdict(path, Finding.MISSING, "It holds the credentials of a file that does not lie beside it.")
        try:
            credentials = read_credentials(path, self._trusted or b"")
        except PortraitError as error:
            if error.code is ErrorCode.BAD_CONFIGURATION:  # in the certificates of those who are trusted
                raise
            return Verdict(path, Finding.UNREADABLE, error.message)
        own = None if credentials is None else Verdict.by_credentials(path, credentials)
        if own is not None and listed is not None:
            # Whatever it is by itself, it is not the frame that was signed in that place.
            return replace(listed, words=f"{listed.words} It has credentials of its own: {own.words}")
        return own or listed or _by_seal(path)

    def judged(self, verdict: Verdict) -> Verdict:
        """The verdict with regard to who is trusted."""
        known = verdict.credentials is not None and verdict.credentials.known
        if self._trusted is None or known or verdict.finding is not Finding.UNALTERED:
            return verdict
        return replace(
            verdict, finding=Finding.UNTRUSTED, words=f"{verdict.words} None of those who are trusted signed it."
        )

    def _listed(self, path: Path) -> Verdict | None:
        """What the signed list beside a file says of it."""
        place = credentials_path(path.parent, prefix_of(path.name))
        return self._list(place).verdict_on(path) if os.path.isfile(place) else None

    def _list(self, path: Path) -> SignedFrames:
        with self._lock:
            if path not in self._lists:
                self._lists[path] = SignedFrames.read(path, self._trusted or b"")
            return self._lists[path]


def by_pixels(path: Path) -> Verdict:
    """What is found of a file that carries no credentials and no seal."""
    try:
        seen = look(path)
    except PortraitError as error:
        return Verdict(path, Finding.UNREADABLE, error.message)
    origin, release, engine = seen.origin, seen.origin.release, seen.origin.engine
    if seen.watermark is not None:
        number = seen.watermark.identifier
        words = f"{telling.of_watermark(number)}, but the credentials are gone: it was copied or encoded anew since."
        return Verdict(path, Finding.MARKED, words, None, release, engine, number)
    if origin.was_frame:
        return Verdict(path, Finding.ALTERED, telling.WAS_FRAME, None, release, engine)
    if origin.release:
        return Verdict(path, Finding.STATED, telling.of_origin(origin), None, release, engine)
    words = " ".join(filter(None, (telling.TELLS_NOTHING, telling.of_origin(origin))))
    return Verdict(path, Finding.NOTHING, words)


def _looked_at(verdict: Verdict) -> Verdict:
    """On a file with another maker's credentials, in whose pixels our watermark may be."""
    seen = by_pixels(verdict.path)
    if seen.finding is not Finding.MARKED:
        return verdict
    words = f"{verdict.words} {telling.of_watermark(seen.watermark)}: it was made with Talking Portraits, and altered since."
    return replace(verdict, finding=Finding.MARKED, words=words, watermark=seen.watermark)


def _by_seal(path: Path) -> Verdict | None:
    """What a frame's file tells of itself, unsigned; None where it is no frame's."""
    mark = glance(path)
    if mark is None:
        return None
    try:
        made = telling.made_by_mark(mark, datetime.fromtimestamp(path.stat().st_mtime, UTC))
        checked_mark(read_bounded(path, MAX_FRAME_BYTES))
    except OSError as error:
        return Verdict(path, Finding.UNREADABLE, f"It cannot be read: {error.strerror or error}.")
    except CutShort:
        why = "its file ends before it should"
    except ValueError:
        why = "its pixels are not those that were drawn, or its file is damaged"
    else:
        if not mark.sealed:
            return Verdict.by_mark(path, Finding.STATED, f"{made}, as it says; {telling.NO_SEAL}", mark)
        if telling.lacks_words(mark):
            return Verdict.by_mark(path, Finding.ALTERED, f"{made}: altered since, but for its pixels.", mark)
        words = f"{made}; its pixels were not altered since. {telling.UNSIGNED}"
        return Verdict.by_mark(path, Finding.UNALTERED, words, mark)
    return Verdict.by_mark(path, Finding.ALTERED, f"{made}; altered since: {why}.", mark)


def _of_folder(folder: Path) -> tuple[Finding, str]:
    """Of one in which there is nothing to verify."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding.UNREADABLE, "You may not read this folder."
    return Finding.NOTHING, "No pictures or films lie in this folder; those in folders within it are not looked for."


def _companion(side_car: Path) -> Path | None:
    """The file whose credentials a side-car holds: the one that it names, else the only other one of that name."""
    others = [file for file in side_car.parent.glob(f"{escape(side_car.stem)}.*") if file != side_car]
    return next(filter(is_side_car_of, others), others[0] if len(others) == 1 else None)


def _is_list(path: Path) -> bool:
    return path.name.endswith(LIST_ENDING) and os.path.isfile(path)


def _is_shown(file: Path) -> bool:
    """Whether a file of a folder is verified with it."""
    name = file.name
    return name.lower().endswith((*_SHOWN, MANIFEST_SUFFIX)) and not name.startswith(".") and not os.path.isdir(file)


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sorts 9999.png before 10000.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(file.name)]
