# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request's frames show the people of its references: measured only where no file says it yet."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import shot_files
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import frame_path, frames_in
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES, mark_of, read_mark
from portrait_shared.frames.identity import IDENTITY_FILE, FrameIdentity, Identity, Verdict
from portrait_shared.shots import is_unchanged
from portrait_shared.track import LandmarkTrack

from portrait_server.detectors.registry import create_detector, default_detector_name
from portrait_server.detectors.selection import select_face
from portrait_server.farm.driven_faces import DrivenFaces, load_references
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.media.images import decode_image, opaque, read_image
from portrait_server.recognition.describing import described
from portrait_server.recognition.descriptor import chip_of
from portrait_server.recognition.photograph import is_photograph
from portrait_server.recognition.recognise import MEASURE, THRESHOLD, Look, compared, is_known, together, why_not_seen
from portrait_server.shots.landmarks import points_of_shot
from portrait_server.shots.reader import ShotReader, eight_bit_rgb

_NO_PHOTOGRAPH: Final = "the picture looks like a painting or a drawing"
_HEAD_BYTES: Final = 1 << 20
_TRIES: Final = 4  # other machines may write the same file at the same time


@dataclass(frozen=True)
class _Face:
    """A face to be described: its chip, or why that would tell nothing."""

    chip: np.ndarray | None
    why: str = ""

    @classmethod
    def of(cls, image: np.ndarray, points: np.ndarray) -> _Face:
        """Args: image: (H, W, 3) uint8. points: (70, 2 or 3) of its pixels."""
        why = why_not_seen(points)
        return cls(None if why else chip_of(image, points), why)

    @classmethod
    def of_reference(cls, image: np.ndarray, points: np.ndarray) -> _Face:
        """As `of`, of a picture that shows whom frames are to show: it has to be a photograph."""
        face = cls.of(image, points)
        return face if face.chip is None or is_photograph(image, points) else cls(None, _NO_PHOTOGRAPH)


def find_identity(
    request: FrameRequest, folder: Path, frames: Iterable[int], *, prefix: str = "",
    points: Sequence[LandmarkTrack] = (), progress: Callable[[int, int], None] = lambda done, total: None,
) -> Identity:  # fmt: skip
    """Finds out whether frames of a folder show the people of their references, and writes it there for the next time.

    Args:
        frames: their numbers; those that are not there are left out.
        prefix: of the frames' files, and of the file that is written.
        points: what `PhotoFrames.points` or `ShotFrames.points` have found already, of a shot one.
        progress: told how many frames are done, of how many.

    Returns:
        of these frames.

    Raises:
        PortraitError: FILE_MISSING, also where none of the frames is there; what reading the request's files raises; NO_FACE; BAD_WEIGHTS; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    path = folder / f"{prefix}{IDENTITY_FILE}"
    there = set(frames_in(folder, prefix, request.suffix))
    asked = sorted(there.intersection(frames))
    if not asked:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"None of the frames lies in {folder}.",
            "Give the folder of rendered frames, and --prefix where their names have one.",
        )  # fmt: skip
    before, whom = _known(path), _whom(request)
    known = {
        number: before.frames[number]
        for number in asked
        if number in before.frames
        and before.frames[number].whom == whom
        and _digest(frame_path(folder, number, prefix, request.suffix)) == before.frames[number].digest
    }
    missing = [number for number in asked if number not in known]
    if missing:
        subject: _Subject = _Photos(request, points) if request.plate is None else _Shot(request, request.plate, points)
        files = {number: frame_path(folder, number, prefix, request.suffix) for number in missing}
        with closing(subject):
            for done, (number, frame) in enumerate(subject.measured(files), 1):
                known[number] = dataclasses.replace(frame, whom=whom)
                progress(done, len(missing))
    found = Identity(MEASURE, THRESHOLD, dict(sorted(known.items())))
    _keep(path, found, there)
    return found


def _whom(request: FrameRequest) -> str:
    """What names those with whom frames are compared: what was found of frames is no answer to another question."""
    total = hashlib.sha256(repr(request.faces).encode())
    if request.plate is None:
        for path in request.references:
            total.update(image_digest(read_image(path, 16)).encode())
    else:
        # A film may be of any size: where it is another, its head or its length is, too.
        files = shot_files(request.plate)
        total.update(repr([file.stat().st_size for file in files]).encode())
        with files[0].open("rb") as file:
            total.update(file.read(_HEAD_BYTES))
    return total.hexdigest()


def _digest(path: Path) -> str:
    """What a frame's file has for its hash; empty where it is damaged, or was altered."""
    mark = read_mark(path)
    return "" if mark is None else mark.digest


def _known(path: Path) -> Identity:
    found = Identity.load(path)
    return found if found is not None and found.measure == MEASURE else Identity(MEASURE, THRESHOLD)


def _keep(path: Path, found: Identity, there: set[int]) -> None:
    """Writes what was found among what the file says of other frames: those of other chunks, and of earlier runs."""
    for _ in range(_TRIES):
        others = {number: frame for number, frame in _known(path).frames.items() if number in there}
        if all(others.get(number) == frame for number, frame in found.frames.items()):
            return
        Identity(MEASURE, THRESHOLD, {**others, **found.frames}).save(path)


class _Subject(ABC):
    """Whom frames are to show: what their faces are compared with, and where these are."""

    looks_a_frame = 1

    @abstractmethod
    def faces(self, number: int, picture: np.ndarray) -> list[_Face]:
        """What is to be described for a frame: `looks_a_frame` faces.

        Args:
            picture: (H, W, 3) uint8, the frame.
        """

    @abstractmethod
    def verdict(self, number: int, looks: Sequence[Look], digest: str) -> FrameIdentity:
        """What its looks, those of `faces`, say of a frame."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of files."""

    def measured(self, files: Mapping[int, Path]) -> Iterator[tuple[int, FrameIdentity]]:
        """What is found of each frame, in order.

        Args:
            files: the frames', by their numbers.
        """
        under_way: deque[tuple[int, str, list[_Face]]] = deque()

        def chips() -> Iterator[np.ndarray | None]:
            for number, path in files.items():
                digest, picture, why = _picture(path)
                faces = [_Face(None, why)] * self.looks_a_frame if picture is None else self.faces(number, picture)
                under_way.append((number, digest, faces))
                yield from (face.chip for face in faces)

        descriptors = described(chips(), len(files) * self.looks_a_frame)
        for _ in files:
            found = [next(descriptors) for _ in range(self.looks_a_frame)]
            number, digest, faces = under_way.popleft()
            looks = [Look(one, face.why) for one, face in zip(found, faces, strict=True)]
            yield number, self.verdict(number, looks, digest)


class _Photos(_Subject):
    """People of photos: the frames' faces are compared with those of the references."""

    def __init__(self, request: FrameRequest, points: Sequence[LandmarkTrack]) -> None:
        driven = DrivenFaces.load(request.faces, request.tracks)
        self._tracks, self.looks_a_frame = driven.tracks, len(driven.tracks)
        references, _ = load_references(request.references, (), self.looks_a_frame)
        images = [opaque(np.asarray(reference.image)) for reference in references]
        rows = [track.points[0] for track in points] or _given(request) or _found(images, driven.numbers)
        # The further photos are of the first face's person.
        whose = [0] * len(driven.tracks) + [number for number in range(1, len(images))]
        faces = [_Face.of_reference(images[image], row) for image, row in zip(whose, rows, strict=True)]
        looks = [
            Look(one, face.why) for one, face in zip(described([f.chip for f in faces], len(faces)), faces, strict=True)
        ]
        self._known = [[look] for look in looks[: self.looks_a_frame]]
        self._known[0] += looks[self.looks_a_frame :]

    def faces(self, number: int, picture: np.ndarray) -> list[_Face]:
        return [
            _Face.of(picture, _scaled(track, number, picture)) if is_known(known) else _Face(None)
            for track, known in zip(self._tracks, self._known, strict=True)
        ]

    def verdict(self, number: int, looks: Sequence[Look], digest: str) -> FrameIdentity:
        return together([compared(known, look, digest) for known, look in zip(self._known, looks, strict=True)])

    def close(self) -> None:
        pass


class _Shot(_Subject):
    """The person of a shot: each frame's face is compared with the one that was filmed there."""

    looks_a_frame = 2

    def __init__(self, request: FrameRequest, plate: Path, points: Sequence[LandmarkTrack]) -> None:
        (track,) = request.tracks
        self._target = LandmarkTrack.load(track)
        self._is_photographed: bool | None = None
        self._shot = ShotReader(plate)
        if points:
            (self._filmed,) = points
        elif request.plate_points is not None:
            self._filmed = LandmarkTrack.load(request.plate_points)
        else:
            with closing(create_detector(default_detector_name())) as detector:
                self._filmed = points_of_shot(plate, detector, *request.faces)

    def faces(self, number: int, picture: np.ndarray) -> list[_Face]:
        filmed, target = self._filmed.points[self._index(number)], self._target.points[self._index(number)]
        if is_unchanged(target, filmed):
            return [_Face(None), _Face(None)]
        plate = eight_bit_rgb(self._shot.frame(self._index(number)))
        face = _Face.of(plate, filmed)
        if (
            face.chip is not None and self._is_photographed is None
        ):  # of the first face that can be told: it is one film
            self._is_photographed = is_photograph(plate, filmed)
        if self._is_photographed is False:
            return [_Face(None, _NO_PHOTOGRAPH), _Face(None)]
        return [face, _Face.of(picture, target)]

    def verdict(self, number: int, looks: Sequence[Look], digest: str) -> FrameIdentity:
        filmed, seen = looks
        if filmed.descriptor is None and not filmed.why:
            return FrameIdentity(digest, Verdict.RECOGNISED, 0.0)  # the shot's own pixels
        return compared([filmed], seen, digest)

    def close(self) -> None:
        self._shot.close()

    def _index(self, number: int) -> int:
        return number - self._target.start


def _given(request: FrameRequest) -> list[np.ndarray]:
    return [LandmarkTrack.load(path).points[0] for path in request.reference_points]


def _found(images: Sequence[np.ndarray], numbers: Sequence[int]) -> list[np.ndarray]:
    """Landmarks of each driven face of the first photo, then of the largest one of each further photo."""
    with closing(create_detector(default_detector_name())) as detector:
        first = detector.detect(images[0])
        rows = [select_face(first, number, "the first photo").points for number in numbers]
        return rows + [select_face(detector.detect(image), None, "a photo").points for image in images[1:]]


def _scaled(track: LandmarkTrack, number: int, picture: np.ndarray) -> np.ndarray:
    """A frame's points (70, 2), in pixels of its picture."""
    (row,) = track.rows_of([number])
    scale = np.array([picture.shape[1], picture.shape[0]]) / track.size
    return (row[:, :2] + 0.5) * scale - 0.5


def _picture(path: Path) -> tuple[str, np.ndarray | None, str]:
    """A frame's digest, its pixels (H, W, 3) uint8, and why there are none where there are none."""
    try:
        data = read_bounded(path, MAX_FRAME_BYTES)
    except OSError:
        return "", None, "its file cannot be read"
    if (mark := mark_of(data)) is None:
        return "", None, "its file is damaged, or was altered"
    try:
        return mark.digest, opaque(decode_image(data, path.suffix, str(path))), ""
    except PortraitError:
        return mark.digest, None, "its file holds no colors"
