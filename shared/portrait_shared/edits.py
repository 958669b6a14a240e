# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit: which media is seen and heard when. What a sequencer and OpenTimelineIO have in common, as JSON.

Times are whole frames at the edit's rate: of the scene for `at`, of the media for `first`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json, read_bounded, write_whole

FORMAT: Final = "talking-portraits edit 1"
FRAMES, MOVIE, SOUND = "frames", "movie", "sound"
_KINDS: Final = (FRAMES, MOVIE, SOUND)
_MAX_BYTES: Final = 64_000_000
_MAX_CLIPS: Final = 100_000


@dataclass(frozen=True)
class Media:
    """Files that a clip shows.

    Attributes:
        kind: numbered pictures, a movie, or a sound.
        path: the file, or of pictures their folder; absolute.
        first: the number of the first picture; the first frame of a movie or a sound, usually 0.
        count: how many frames there are, at the edit's rate.
        prefix, suffix: around the pictures' numbers. padding: their digits, at least.
    """

    kind: str
    path: str
    first: int = 0
    count: int = 0
    prefix: str = ""
    suffix: str = ".png"
    padding: int = 4


@dataclass(frozen=True)
class Clip:
    """A stretch of media in the edit.

    Attributes:
        name: to people.
        media: what is seen or heard; None where another program named none that can be used.
        channel: the higher, the nearer to the eye; from 1.
        at: the scene's frame at which it begins. count: for how many frames.
        first: the media's frame that is seen there.
        speed: media frames for each frame of the scene.
        enabled: whether it is seen at all.
        metadata: what made the frames; texts, numbers and truth values by name.
    """

    name: str
    media: Media | None
    channel: int
    at: int
    count: int
    first: int
    speed: float = 1.0
    enabled: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Marker:
    """A named frame of the scene."""

    name: str
    frame: int


@dataclass(frozen=True)
class Edit:
    """Clips in time.

    Attributes:
        rate: frames per second. start: the scene's frame at which the timeline begins.
        notes: what another program's edit held that could not be taken over.
    """

    name: str
    rate: Fraction
    start: int
    clips: tuple[Clip, ...]
    markers: tuple[Marker, ...] = ()
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
        record = {**asdict(self), "format": FORMAT, "rate": [self.rate.numerator, self.rate.denominator]}
        write_whole(path, json.dumps(record, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Edit:
        """Raises: PortraitError: FILE_MISSING; BAD_CONFIGURATION, saying what is wrong."""
        try:
            record = parse_json(read_bounded(path, _MAX_BYTES))
        except OSError as error:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror}.", "Check the path."
            ) from error
        except ValueError as error:
            raise bad_edit(path, "it is no JSON") from error
        if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
            raise bad_edit(path, f"it does not say {FORMAT!r}")
        try:
            return _edit(record)
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise bad_edit(path, f"a field is missing, or is not what it should be ({error})") from error


def bad_edit(path: Path, why: str) -> PortraitError:
    """An edit's file that cannot be used."""
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION, f"{path} is no edit that can be read: {why}.", "Export it again."
    )  # fmt: skip


def _edit(record: dict[str, Any]) -> Edit:
    if len(record["clips"]) > _MAX_CLIPS:
        raise ValueError(f"{len(record['clips'])} clips")
    over, under = record.pop("rate")
    edit = Edit(
        rate=Fraction(over, under),
        clips=tuple(_clip(clip) for clip in record.pop("clips")),
        markers=tuple(Marker(str(each["name"]), int(each["frame"])) for each in record.pop("markers", ())),
        notes=tuple(str(note) for note in record.pop("notes", ())),
        **record,
    )
    if not (isinstance(edit.name, str) and isinstance(edit.start, int) and edit.rate > 0):
        raise ValueError("name, start or rate")
    return edit


def _clip(record: dict[str, Any]) -> Clip:
    media = record.pop("media")
    clip = Clip(media=None if media is None else Media(**media), **record)
    whole = (clip.channel, clip.at, clip.count, clip.first)
    if not (isinstance(clip.name, str) and all(isinstance(each, int) for each in whole)):
        raise ValueError(f"clip {clip.name!r}")
    if clip.channel < 1 or clip.count < 1 or not 0 < clip.speed < 1000 or not isinstance(clip.metadata, dict):
        raise ValueError(f"clip {clip.name!r}")
    if clip.media is not None:
        numbers = (clip.media.first, clip.media.count, clip.media.padding)
        texts = (clip.media.path, clip.media.prefix, clip.media.suffix)
        if clip.media.kind not in _KINDS or not all(isinstance(each, int) for each in numbers):
            raise ValueError(f"the media of clip {clip.name!r}")
        if not all(isinstance(each, str) for each in texts):
            raise ValueError(f"the media of clip {clip.name!r}")
    return clip
