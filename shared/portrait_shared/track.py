# SPDX-License-Identifier: GPL-3.0-or-later
"""LandmarkTrack: the 70 points over time, and its ``.npz`` file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from portrait_shared.body import check_body
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.npz import DamagedArchive, npz_bytes, read_npz
from portrait_shared.files.whole_files import write_whole

MAX_SIDE_PIXELS = 16384
_MAX_FRAME_NUMBER = 2**31
_FIELDS = ("points", "size", "fps", "start", "body")


def bad_track(message: str, remedy: str = "") -> PortraitError:
    return PortraitError(ErrorCode.BAD_TRACK, message, remedy)


@dataclass(frozen=True)
class LandmarkTrack:
    """Landmarks of one face over time, in pixels of a picture.

    Attributes:
        points: (T, 70, 2 or 3) float32; x right, y down, z on x's scale and smaller is nearer.
        size: (width, height) of the picture, pixels.
        fps: frames per second.
        start: number of the first frame.
        extra: other arrays of the file, kept as they are.
        body: (T, 2) float32, how far the shoulders follow and the breath, see `portrait_shared.body`; None: as usual.
    """

    points: np.ndarray
    size: tuple[int, int]
    fps: float = 25.0
    start: int = 1
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    body: np.ndarray | None = None

    def __post_init__(self) -> None:
        width, height = (int(side) for side in self.size)
        if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
            raise bad_track(f"The track's size is {width}x{height} pixels; each side must be 1 to {MAX_SIDE_PIXELS}.")
        fps = float(self.fps)  # first, because a finite NumPy longdouble may overflow to infinity here
        if not (np.isfinite(fps) and fps > 0):
            raise bad_track(f"The track's fps is {self.fps}; a positive number is needed.")
        start = int(self.start)
        if start != self.start or abs(start) > _MAX_FRAME_NUMBER:
            raise bad_track(f"The track's start is {self.start}; a whole number up to {_MAX_FRAME_NUMBER} is needed.")
        extra = {name: np.asarray(array) for name, array in self.extra.items() if name not in _FIELDS}
        for name, array in extra.items():
            if array.dtype.hasobject:
                raise bad_track(f"The track's extra array {name!r} holds Python objects, which no file may.")
        points = np.asarray(self.points)
        frames = range(start, start + len(points)) if points.ndim else range(0)
        points = check_points(points, frames, code=ErrorCode.BAD_TRACK)
        body = None if self.body is None else check_body(self.body, frames, code=ErrorCode.BAD_TRACK)
        checked = dict(points=points, size=(width, height), fps=fps, start=start, extra=extra, body=body)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def frame_numbers(self) -> range:
        return range(self.start, self.start + len(self))

    def rows_of(self, frames: Iterable[int]) -> np.ndarray:
        """Points (N, 70, 2 or 3) of the given frame numbers, in their order.

        Raises:
            PortraitError: BAD_TRACK for a frame that the track lacks.
        """
        return self.points[self._rows(frames)]

    def body_of(self, frames: Iterable[int]) -> np.ndarray | None:
        """What those frames say of the body, (N, 2), or None.

        Raises:
            PortraitError: as `rows_of`.
        """
        return None if self.body is None else self.body[self._rows(frames)]

    def _rows(self, frames: Iterable[int]) -> np.ndarray:
        frames = list(frames)
        missing = [frame for frame in frames if frame not in self.frame_numbers]
        if missing:
            raise bad_track(
                f"The track has frames {self.start} to {self.start + len(self) - 1}; frame {missing[0]} is not in it.",
                "Ask for frames inside that range.",
            )
        return np.array([frame - self.start for frame in frames], int)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the ``.npz`` file at once or not at all.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL; a file that was there before is left as it was.
        """
        path = Path(path)
        arrays = {
            "points": self.points, "size": np.array(self.size, np.int32), "fps": np.array(self.fps, np.float64),
            "start": np.array(self.start, np.int64), **self.extra,
        }  # fmt: skip
        if self.body is not None:
            arrays["body"] = self.body
        write_whole(path, npz_bytes(arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LandmarkTrack:
        """Reads and validates a track; pickled content is refused.

        Raises:
            PortraitError: FILE_MISSING, or BAD_TRACK saying which field, frame and point.
        """
        path = Path(path)
        arrays = _read_arrays(path)
        if "points" not in arrays or "size" not in arrays:
            raise bad_track(
                f"{path} lacks `{'points' if 'points' not in arrays else 'size'}`.",
                "Write it with `portrait landmarks`, or add the field: see the README's section on the track's format.",
            )
        size = arrays["size"]
        if size.shape != (2,) or size.dtype.kind not in "iu":
            raise bad_track(f"{path}: `size` must be two whole numbers, width and height, not {described(size)}.")
        try:
            return cls(
                points=arrays["points"], size=(int(size[0]), int(size[1])),
                fps=_scalar(arrays, "fps", 25.0), start=_scalar(arrays, "start", 1),
                extra=arrays, body=arrays.get("body"),
            )  # fmt: skip
        except PortraitError as error:
            raise PortraitError(error.code, f"{path}: {error.message}", error.remedy) from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz(path)
    except FileNotFoundError:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.") from None
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror or error}.", "Check the path and its rights."
        ) from error
    except DamagedArchive as error:
        raise bad_track(
            f"{path} is not a readable landmark track ({error}).", "Write it again with `portrait landmarks`."
        ) from error


def _scalar(arrays: Mapping[str, Any], name: str, default: float) -> Any:
    value = arrays.get(name)
    if value is None:
        return default
    if value.size != 1 or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise bad_track(f"`{name}` must be one finite number, not {described(value)}.")
    return value.item()
