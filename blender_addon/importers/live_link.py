# SPDX-License-Identifier: GPL-3.0-or-later
"""Face recordings of ARKit: the CSV files of Live Link Face and of programs that write like it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.blendshapes import ARKIT_NAMES
from portrait_shared.errors import ErrorCode, PortraitError

from ..capture.controls import Controls
from ..capture.timing import Placement

# The angles are right-handed turns in ARKit's face: pitch about x, to the person's own left, yaw about y, up, roll about
# z, out of the face (Unreal's AppleARKit plug-in turns them back to this). They are the head control's own axes.
_TIMECODE = re.compile(r"^\s*(\d+):(\d+):(\d+)[:;](\d+)(?:\.(\d+))?\s*$")
_RATES: Final = (24.0, 25.0, 30.0, 50.0, 60.0, 120.0)
_HEAD: Final = ("headpitch", "headyaw", "headroll")
_EYES: Final = ("lefteyeyaw", "lefteyepitch", "righteyeyaw", "righteyepitch")
_REMEDY = "Choose the .csv file of a take that Live Link Face recorded."
_GAZE_FULL_RADIANS = np.radians(30.0)  # an eye turned so far is at ARKit's weight 1
_DAY_SECONDS = 86_400.0
_LONG_GAP_SECONDS = 0.5
_VISIBLE = 0.005
UNITS: Final = {"RADIANS": 1.0, "DEGREES": np.pi / 180, "HALF_TURNS": np.pi}
"""What a file's angles are in; Live Link Face writes radians, some of its relatives degrees or parts of 180 degrees."""


@dataclass(frozen=True)
class FaceRecording:
    """A take.

    Attributes:
        seconds: (N,) rising, from 0.
        weights: {ARKit name: (N,) 0 to 1}.
        head: (N, 3) pitch, yaw, roll in radians, as the head control's x, y, z; None where the file has none.
        fps: the recording's.
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
    """Reads a take; columns in any order, spelled with or without capitals, some of them missing.

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
    fps, seconds = _times(timecodes)
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, "is not a text file that can be read") from error
    lines = text.splitlines()
    if not lines or "\0" in text:
        raise _bad(path, "is empty" if not lines else "is not a text file")
    separator = max(",;\t", key=lines[0].count)
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise _bad(path, f"is no table ({error})") from error
    columns = {name.strip().lower().replace("_", ""): index for index, name in enumerate(rows[0])}
    if "timecode" not in columns:
        raise _bad(path, "has no column “Timecode” in its first line")
    values, timecodes, skipped = [], [], 0
    for row in rows[1:]:
        parsed = _numbers(row, len(rows[0]), columns["timecode"])
        if parsed is None:
            skipped += any(cell.strip() for cell in row)
            continue
        values.append(parsed)
        timecodes.append(row[columns["timecode"]])
    if not values:
        raise _bad(path, "has no row of numbers")
    return columns, np.array(values), timecodes, skipped


def _numbers(row: Sequence[str], width: int, timecode: int) -> list[float] | None:
    """A row's numbers, 0 where the timecode stands and where a cell is empty; None where it is no such row."""
    if len(row) != width or not _TIMECODE.match(row[timecode]):
        return None
    try:
        numbers = [0.0 if i == timecode or not cell.strip() else float(cell) for i, cell in enumerate(row)]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _times(timecodes: Sequence[str]) -> tuple[float, np.ndarray]:
    """Frames per second, and each row's seconds from the first; the frames of a second are counted from 0."""
    matches = [_TIMECODE.match(text) for text in timecodes]
    parts = np.array([[int(number) for number in match.groups()[:4]] for match in matches if match], np.float64)
    subframes = np.array([float(f"0.{match.group(5) or 0}") for match in matches if match])
    highest = parts[:, 3].max() + 1
    rows_a_second = np.unique(parts[:, :3] @ (3600, 60, 1), return_counts=True)[1].max()
    fps = next((rate for rate in _RATES if rate >= max(highest, rows_a_second)), float(highest))
    seconds = parts[:, :3] @ (3600, 60, 1) + (parts[:, 3] + subframes) / fps
    seconds = seconds - seconds[0]
    seconds[seconds < -_DAY_SECONDS / 2] += _DAY_SECONDS  # a take over midnight
    return fps, seconds


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


def controls_of_recording(recording: FaceRecording, placement: Placement) -> Controls:
    """The take on scene frames.

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
        shown = ", ".join(recording.missing[:6]) + (" …" if len(recording.missing) > 6 else "")
        are, were = ("column is", "was") if len(recording.missing) == 1 else ("columns are", "were")
        notes.append(f"{len(recording.missing)} {are} not in the file and {were} left as they are: {shown}.")
    if recording.skipped:
        lines = "1 line was no row" if recording.skipped == 1 else f"{recording.skipped} lines were no rows"
        notes.append(f"{lines} of numbers, and left out.")
    gaps = np.diff(recording.seconds, prepend=0.0)
    if gaps.max() > _LONG_GAP_SECONDS:
        at = int(frames[np.searchsorted(times, recording.seconds[int(gaps.argmax())]).clip(0, len(frames) - 1)])
        notes.append(f"The recording has a gap of {gaps.max():.1f} s before frame {at}.")
    return Controls(
        frames, {name: values for name, values in weights.items() if values.max() > _VISIBLE}, tuple(recording.weights),
        angles=None if head is None else np.stack([on_frames(head[:, axis]) for axis in range(3)], axis=1),
        notes=tuple(notes),
    )  # fmt: skip
