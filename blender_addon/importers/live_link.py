# SPDX-License-Identifier: GPL-3.0-or-later
"""Face recordings of ARKit: the CSV files of Live Link Face and of programs that write like it."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded

from ..blender.problems import listed
from ..capture.takes import Take
from ..capture.timing import Placement
from ..rig.blendshapes import ARKIT_NAMES
from .timecode import is_timecode, seconds_of_timecodes

# The angles are right-handed turns in ARKit's face: pitch about x, to the person's own left, yaw about y, up, roll about
# z, out of the face (Unreal's AppleARKit plug-in turns them back to this). They are the head handle's own axes.
_SEPARATOR_HINT: Final = re.compile(r"\s*sep=([,;\t])\s*", re.IGNORECASE)
_HEAD: Final = ("headpitch", "headyaw", "headroll")
_EYES: Final = ("lefteyeyaw", "lefteyepitch", "righteyeyaw", "righteyepitch")
_REMEDY = "Choose the .csv file of a take that Live Link Face recorded."
_MAX_BYTES = 128 * 2**20  # an hour at 60 frames/s
_MAX_LINES: Final = 500_000
_MAX_LINE_CHARACTERS: Final = 50_000
_LINE: Final = re.compile(r"[^\r\n]+")
_GAZE_FULL_RADIANS = np.radians(30.0)  # an eye turned so far is at ARKit's weight 1
_LONG_GAP_SECONDS = 0.5
_VISIBLE = 0.005
UNITS: Final = {"RADIANS": 1.0, "DEGREES": np.pi / 180, "HALF_TURNS": np.pi}
"""What a file's angles are in; Live Link Face writes radians, some of its relatives degrees or parts of 180 degrees."""


@dataclass(frozen=True)
class FaceRecording:
    """What a file holds: one row for each moment.

    Attributes:
        seconds: (N,) rising, from 0.
        weights: {ARKit name: (N,) 0 to 1}.
        head: (N, 3) pitch, yaw, roll in radians, as the head handle's x, y, z; None where the file has none.
        fps: rows a second.
        missing: ARKit names and angles that the file lacks.
        skipped: how many lines were no rows of numbers.
    """

    seconds: np.ndarray
    weights: dict[str, np.ndarray]
    head: np.ndarray | None
    fps: float
    missing: tuple[str, ...]
    skipped: int


def read_live_link(path: Path, unit: str = "RADIANS") -> FaceRecording:
    """Reads a file; columns in any order, spelled with or without capitals, some of them missing.

    Seconds are counted from the earliest row, as `seconds_of_timecodes` promises. Cells stand between commas, semicolons
    or tabs, with decimal points or commas; the text is UTF-8 or UTF-16.

    Args:
        unit: of the angles, one of `UNITS`.

    Raises:
        PortraitError: FILE_MISSING; BAD_TRACK for what is no such file.
    """
    columns, table, timecodes, skipped = _read_table(path)
    weights = {
        name: np.clip(table[:, columns[name.lower()]], 0.0, 1.0) for name in ARKIT_NAMES if name.lower() in columns
    }
    if not weights:
        raise _bad(path, "has none of ARKit's 52 columns (EyeBlinkLeft, JawOpen …)")
    fps, seconds = seconds_of_timecodes(timecodes)
    order = np.argsort(seconds, kind="stable")
    order = order[np.diff(seconds[order], prepend=-1.0) > 0]
    if all(name in columns for name in _EYES):
        _gaze(weights, {name: table[:, columns[name]] * UNITS[unit] for name in _EYES})
    missing = [name for name in ARKIT_NAMES if name not in weights]
    head = None
    if all(name in columns for name in _HEAD):
        head = table[:, [columns[name] for name in _HEAD]] * UNITS[unit]
        head = np.unwrap(head[order], axis=0)
    else:
        missing += ["HeadPitch", "HeadYaw", "HeadRoll"]
    kept = {name: values[order] for name, values in weights.items()}
    return FaceRecording(seconds[order], kept, head, fps, tuple(missing), skipped)


def _read_table(path: Path) -> tuple[dict[str, int], np.ndarray, list[str], int]:
    """Columns by name, (N, columns) numbers, N timecodes, and how many lines were no rows of numbers."""
    text = _read_text(path)
    first = next(_lines(path, text), "")
    hint = _SEPARATOR_HINT.fullmatch(first)  # a line that spreadsheets write for each other
    separator = hint.group(1) if hint else max(",;\t", key=first.count)
    lines = itertools.islice(_lines(path, text), 1 if hint else 0, None)
    try:
        return _parsed(path, csv.reader(lines, delimiter=separator), separator)
    except csv.Error as error:
        raise _bad(path, f"is no table ({error})") from error


def _lines(path: Path, text: str) -> Iterator[str]:
    """Lines that are not empty, one after the other: all at once they would take far more memory than the text."""
    for count, match in enumerate(_LINE.finditer(text)):
        if count == _MAX_LINES or match.end() - match.start() > _MAX_LINE_CHARACTERS:
            raise _bad(
                path, f"has more than {_MAX_LINES:,} lines, or one of more than {_MAX_LINE_CHARACTERS:,} letters"
            )
        if not match.group().isspace():
            yield match.group()


def _parsed(path: Path, rows: Iterator[list[str]], separator: str) -> tuple[dict[str, int], np.ndarray, list[str], int]:
    header = next(rows, None)
    if header is None:
        raise _bad(path, "is empty")
    while len(header) > 1 and not header[-1].strip():
        header.pop()
    columns = {_column(name): index for index, name in enumerate(header)}
    if "timecode" not in columns:
        raise _bad(path, "has no column “Timecode” in its first line")
    at, width = columns["timecode"], len(header)
    values = array("d")
    timecodes: list[str] = []
    before: list[float] = []
    skipped = 0
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        row = _joined(cells, width, at, separator)
        parsed = _numbers(row, width, at)
        if parsed is None:
            skipped += 1
        elif not (timecodes and timecodes[-1] == row[at] and before == parsed):  # the same row written twice
            before = parsed
            values.extend(parsed)
            timecodes.append(row[at])
    if not timecodes:
        raise _bad(path, "has no row of numbers")
    return columns, np.array(values).reshape(len(timecodes), width), timecodes, skipped


def _read_text(path: Path) -> str:
    try:
        data = read_bounded(path, _MAX_BYTES)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        elif data[1:2] == b"\0" or data[:1] == b"\0":  # UTF-16 of ASCII without a mark
            text = data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
        else:
            text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, "is not a text file that can be read") from error
    if "\0" in text:
        raise _bad(path, "is not a text file")
    return text


def _column(name: str) -> str:
    """A column's name without capitals, spaces and underscores; ARKit's sides are also written `_L` and `_R`."""
    lower = name.strip().lower()
    for short, side in (("_l", "left"), ("_r", "right")):
        lower = lower.removesuffix(short) + side if lower.endswith(short) else lower
    return lower.replace("_", "").replace(" ", "")


def _joined(cells: Sequence[str], width: int, timecode: int, separator: str) -> list[str]:
    """A row without empty cells beyond its end, and with its timecode whole: a drop-frame one has semicolons itself."""
    row = list(cells)
    if separator == ";" and len(row) > width and not is_timecode(row[timecode]):
        row[timecode : timecode + 2] = [";".join(row[timecode : timecode + 2])]
    while len(row) > width and not row[-1].strip():
        row.pop()
    return row


def _numbers(row: Sequence[str], width: int, timecode: int) -> list[float] | None:
    """A row's numbers, 0 where the timecode stands and where a cell is empty; None where it is no such row."""
    if len(row) != width or not is_timecode(row[timecode]):
        return None
    try:
        numbers = [
            0.0 if i == timecode or not cell.strip() else float(cell.replace(",", ".")) for i, cell in enumerate(row)
        ]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _gaze(weights: dict[str, np.ndarray], angles: dict[str, np.ndarray]) -> None:
    """Gaze from the eyes' angles where the file has no gaze weights, or leaves them at 0.

    ARKit's axes: pitch down and yaw to the person's own left are positive.
    """
    for side, inward in (("Left", -1.0), ("Right", 1.0)):
        names = [f"eyeLook{way}{side}" for way in ("In", "Out", "Down", "Up")]
        if any(name in weights and weights[name].any() for name in names):
            continue
        yaw = angles[f"{side.lower()}eyeyaw"] / _GAZE_FULL_RADIANS
        pitch = angles[f"{side.lower()}eyepitch"] / _GAZE_FULL_RADIANS
        for name, value in zip(names, (inward * yaw, -inward * yaw, pitch, -pitch), strict=True):
            weights[name] = np.clip(value, 0.0, 1.0)


def _bad(path: Path, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_TRACK, f"{path.name} {why}: it is no face recording.", _REMEDY)


def take_of_recording(recording: FaceRecording, placement: Placement) -> Take:
    """The recording on scene frames.

    Raises:
        PortraitError: SCENE where it meets no frame of the scene.
    """
    frames = placement.frames_between(0.0, float(recording.seconds[-1]))
    times = np.array([placement.seconds_of(frame) for frame in frames])

    def on_frames(values: np.ndarray) -> np.ndarray:
        return np.interp(times, recording.seconds, values)

    weights = {name: on_frames(values) for name, values in recording.weights.items()}
    head = recording.head
    notes = []
    if recording.missing:
        shown = listed(recording.missing, 6)
        are, were = ("column is", "was") if len(recording.missing) == 1 else ("columns are", "were")
        notes.append(f"{len(recording.missing)} {are} not in the file and {were} left as they are: {shown}.")
    if recording.skipped:
        lines = "1 line was no row" if recording.skipped == 1 else f"{recording.skipped} lines were no rows"
        notes.append(f"{lines} of numbers, and left out.")
    gaps = np.diff(recording.seconds, prepend=0.0)
    if gaps.max() > _LONG_GAP_SECONDS:
        at = int(frames[np.searchsorted(times, recording.seconds[int(gaps.argmax())]).clip(0, len(frames) - 1)])
        notes.append(f"The recording has a gap of {gaps.max():.1f} s before frame {at}.")
    return Take(
        frames, {name: values for name, values in weights.items() if values.max() > _VISIBLE}, tuple(recording.weights),
        angles=None if head is None else np.stack([on_frames(head[:, axis]) for axis in range(3)], axis=1),
        notes=tuple(notes),
    )  # fmt: skip
