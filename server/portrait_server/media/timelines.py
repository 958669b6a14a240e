# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits as OpenTimelineIO timelines, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange
from portrait_shared.edits import FRAMES, MOVIE, SOUND, Clip, Edit, Marker, Media, bad_edit
from portrait_shared.files.whole_files import parse_json, read_bounded
from portrait_shared.rates import exact_rate

_METADATA: Final = "talking_portraits"
_MAX_BYTES: Final = 256_000_000
_SOUNDS: Final = frozenset((".wav", ".mp3", ".aac", ".m4a", ".flac", ".ogg", ".opus", ".aif", ".aiff", ".ac3"))


def timeline_of(edit: Edit, folder: Path) -> otio.schema.Timeline:
    """A timeline with a track for each channel, the lowest first.

    Args:
        folder: of the timeline's file: media in it or below are named from there, so that both can be moved.
    """
    rate = float(edit.rate)
    timeline = otio.schema.Timeline(edit.name, global_start_time=RationalTime(edit.start, rate))
    for sounds in (False, True):
        clips = [clip for clip in edit.clips if (clip.media is not None and clip.media.kind == SOUND) == sounds]
        kind = otio.schema.TrackKind.Audio if sounds else otio.schema.TrackKind.Video
        for channel in sorted({clip.channel for clip in clips}):
            track = otio.schema.Track(f"Channel {channel}", kind=kind, metadata={_METADATA: {"channel": channel}})
            own = sorted((clip for clip in clips if clip.channel == channel), key=lambda clip: clip.at)
            _fill(track, own, edit, folder)
            timeline.tracks.append(track)
    for marker in edit.markers:
        there = TimeRange(RationalTime(marker.frame - edit.start, rate), RationalTime(1, rate))
        timeline.tracks.markers.append(otio.schema.Marker(name=marker.name, marked_range=there))
    return timeline


def _fill(track: otio.schema.Track, clips: list[Clip], edit: Edit, folder: Path) -> None:
    rate, reached = float(edit.rate), edit.start
    for clip in clips:
        if clip.at > reached:
            track.append(otio.schema.Gap(duration=RationalTime(clip.at - reached, rate)))
        made = otio.schema.Clip(
            name=clip.name, media_reference=_reference(clip.media, edit.rate, folder),
            source_range=TimeRange(RationalTime(clip.first, rate), RationalTime(clip.count, rate)),
            metadata={_METADATA: dict(clip.metadata)},
        )  # fmt: skip
        made.enabled = clip.enabled
        if clip.speed != 1:
            made.effects.append(otio.schema.LinearTimeWarp(time_scalar=clip.speed))
        track.append(made)
        reached = clip.at + clip.count


def _reference(media: Media | None, rate: Fraction, folder: Path) -> otio.core.MediaReference:
    if media is None:
        return otio.schema.MissingReference()
    fps = float(rate)
    there = TimeRange(RationalTime(media.first, fps), RationalTime(media.count, fps))
    if media.kind != FRAMES:
        return otio.schema.ExternalReference(_url(Path(media.path), folder), there)
    return otio.schema.ImageSequenceReference(
        target_url_base=_url(Path(media.path), folder).rstrip("/") + "/", name_prefix=quote(media.prefix),
        name_suffix=quote(media.suffix), start_frame=media.first, frame_step=1, rate=fps,
        frame_zero_padding=media.padding, available_range=there,
    )  # fmt: skip


def _url(path: Path, folder: Path) -> str:
    try:
        return quote(path.relative_to(folder).as_posix())
    except ValueError:
        return path.as_uri()


def read_timeline(path: Path) -> Edit:
    """The edit in a file of OpenTimelineIO, or of any format that an installed adapter of it reads.

    What cannot be taken over, such as transitions, is told in the edit's notes.

    Raises:
        PortraitError: BAD_CONFIGURATION; FILE_MISSING.
    """
    try:
        timeline = _read(path)
        if not isinstance(timeline, otio.schema.Timeline):
            raise bad_edit(path, f"it holds a {type(timeline).__name__}, not a timeline")
        if timeline.tracks is None:  # OpenTimelineIO itself crashes on it
            raise bad_edit(path, "it has no tracks")
        return _Reading(timeline, path.absolute().parent).edit()
    except OSError as error:
        raise bad_edit(path, error.strerror or str(error)) from error
    except otio.exceptions.CannotComputeAvailableRangeError as error:
        raise bad_edit(path, "a clip of it tells neither its length nor that of its media") from error
    except (otio.exceptions.OTIOError, ValueError, KeyError, OverflowError) as error:
        raise bad_edit(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _read(path: Path) -> otio.core.SerializableObject:
    if path.suffix.lower() != ".otio":
        return otio.adapters.read_from_file(str(path))
    content = read_bounded(path, _MAX_BYTES)
    parse_json(content)  # OpenTimelineIO's own parser crashes on what is nested too deeply
    return otio.adapters.read_from_string(content.decode(), "otio_json")


class _Reading:
    """One timeline on its way to an edit."""

    def __init__(self, timeline: otio.schema.Timeline, folder: Path) -> None:
        self._timeline, self._folder = timeline, folder
        self._notes: list[str] = []
        start = timeline.global_start_time
        self._rate = exact_rate(float(start.rate if start is not None else self._rate_of_first_clip()))
        self._start = self._frames(start) if start is not None else 1

    def edit(self) -> Edit:
        clips = [clip for number, track in enumerate(self._timeline.tracks, 1) for clip in self._clips(track, number)]
        markers = [
            Marker(marker.name, self._start + self._frames(marker.marked_range.start_time))
            for marker in self._timeline.tracks.markers
        ]
        return Edit(self._timeline.name, self._rate, self._start, tuple(clips), tuple(markers), tuple(self._notes))

    def _rate_of_first_clip(self) -> float:
        return next((clip.duration().rate for clip in self._timeline.find_clips()), 24.0)

    def _frames(self, time: RationalTime) -> int:
        return round(time.value_rescaled_to(float(self._rate)))

    def _clips(self, track: otio.core.Item, number: int) -> Iterator[Clip]:
        if not isinstance(track, otio.schema.Track):
            self._notes.append(f"{track.name or 'A stack'} is no track, and was left out.")
            return
        channel = _own(track).get("channel")
        channel = channel if isinstance(channel, int) else number
        for child in track:
            if isinstance(child, otio.schema.Clip):
                there = track.range_of_child(child)
                yield self._clip(child, channel, self._start + self._frames(there.start_time))
            elif not isinstance(child, otio.schema.Gap):
                self._notes.append(f"{child.name or 'A ' + type(child).__name__.lower()} was left out.")

    def _clip(self, clip: otio.schema.Clip, channel: int, at: int) -> Clip:
        seen, speed = clip.trimmed_range(), 1.0
        for effect in clip.effects:
            if isinstance(effect, otio.schema.LinearTimeWarp) and effect.time_scalar > 0:
                speed *= float(effect.time_scalar)
            else:
                self._notes.append(f"{clip.name}: the effect {effect.name or effect.effect_name} was left out.")
        return Clip(
            clip.name, self._media(clip), max(1, channel), at, max(1, self._frames(seen.duration)),
            self._frames(seen.start_time), speed, clip.enabled,
            {str(key): value for key, value in _own(clip).items() if isinstance(value, (str, int, float, bool))},
        )  # fmt: skip

    def _media(self, clip: otio.schema.Clip) -> Media | None:
        reference = clip.media_reference
        there = reference.available_range if reference is not None else None
        first, count = (self._frames(there.start_time), self._frames(there.duration)) if there else (0, 0)
        if isinstance(reference, otio.schema.ImageSequenceReference):
            if reference.frame_step != 1:
                self._notes.append(f"{clip.name}: of its pictures each {reference.frame_step}th was meant.")
            path = self._path(reference.target_url_base)
            return None if path is None else Media(
                FRAMES, path, reference.start_frame, count or reference.number_of_images_in_sequence(),
                unquote(reference.name_prefix), unquote(reference.name_suffix), reference.frame_zero_padding,
            )  # fmt: skip
        if isinstance(reference, otio.schema.ExternalReference) and (path := self._path(reference.target_url)):
            return Media(SOUND if Path(path).suffix.lower() in _SOUNDS else MOVIE, path, first, count)
        self._notes.append(f"{clip.name} has no media on this machine.")
        return None

    def _path(self, url: str) -> str | None:
        """The file that a URL names; None for one that is elsewhere."""
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return url2pathname(parts.path)
        if parts.scheme and not PureWindowsPath(url).drive:
            return None
        named = unquote(url)
        whole = PurePosixPath(named).is_absolute() or PureWindowsPath(named).is_absolute()
        return str(Path(named) if whole else self._folder / named)


def _own(item: otio.core.SerializableObjectWithMetadata) -> Mapping[str, object]:
    """What this project has written into an item, if nobody has put anything else there."""
    own = item.metadata.get(_METADATA)
    return own if isinstance(own, Mapping) else {}


def write_timeline(edit: Edit, path: Path) -> str:
    """The text of a timeline's file."""
    return otio.adapters.write_to_string(timeline_of(edit, path.absolute().parent), "otio_json")
