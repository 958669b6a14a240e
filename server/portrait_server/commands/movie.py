# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait movie`: rendered frames to a movie, with sound, timecode and colours that players and editors read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import shot_files
from portrait_shared.frames.frame_files import LAYERED, PICTURES, credentials_path, frame_path, frames_in
from portrait_shared.frames.frame_numbers import parse_frames
from portrait_shared.rates import frame_of, parse_rate

from portrait_server.commands.arguments import tell_progress
from portrait_server.commands.landmarks import check_writable, seconds
from portrait_server.commands.logs import tell_unsigned
from portrait_server.media.movie import CODECS, DEFAULT_CODEC, Movie, MovieFrame, check_suffix
from portrait_server.media.movie_sound import Soundtrack
from portrait_server.shots.reader import ShotReader

SUFFIXES: Final = {"png": PICTURES, "exr": LAYERED}


def rate(text: str) -> Fraction:
    """A frame rate on the command line."""
    try:
        return parse_rate(text)
    except PortraitError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames_folder", type=Path, metavar="DIR", help="a folder of rendered frames")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the movie, such as shot.mp4 or shot.mov"
    )
    parser.add_argument("--codec", choices=sorted(CODECS), default=DEFAULT_CODEC,
                        help=f"prores4444 keeps alpha and needs .mov, as dnxhr does, which may be .mxf too (default: {DEFAULT_CODEC})")  # fmt: skip
    parser.add_argument("--fps", type=rate, default=Fraction(25), metavar="N",
                        help="frames per second, such as 25, 23.976 or 30000/1001 (default: 25)")  # fmt: skip
    parser.add_argument("--frames", type=parse_frames, metavar="1-48", help="which frames (default: all of the folder)")
    parser.add_argument("--prefix", default="", help="what stands before the number in the frames' names")
    parser.add_argument("--format", choices=SUFFIXES, help="which frames are meant (default: png, else exr)")
    parser.add_argument("--hold", action="store_true", help="show a frame until the next that is there")
    parser.add_argument("--plate", type=Path, metavar="SHOT|DIR",
                        help="a filmed shot, which is seen wherever a frame was not rendered")  # fmt: skip
    parser.add_argument("--plate-start", type=int, metavar="N",
                        help="which frame shows the shot's first picture (default: as the shot counts)")  # fmt: skip
    parser.add_argument("--as-filmed", type=parse_frames, default=[], metavar="1-48",
                        help="frames that show the shot, whatever was rendered of them before")  # fmt: skip
    parser.add_argument("--sound", type=Path, metavar="FILE", help="a sound, or a movie whose sound is meant")
    parser.add_argument("--sound-from", type=seconds, default=0.0, metavar="SECONDS",
                        help="where in the sound the movie begins; below 0, the sound begins later than the movie")  # fmt: skip
    parser.add_argument("--timecode", metavar="01:00:00:00", help="of the first frame (default: by its number)")
    parser.add_argument("--no-credentials", action="store_true",
                        help="do not sign the movie: nobody can then check who made it, and whether it was altered")  # fmt: skip
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def run(asked: argparse.Namespace) -> int:
    """Writes the movie.

    Raises:
        PortraitError: FILE_MISSING for frames that are not there, naming them; BAD_CONFIGURATION, SIZE_MISMATCH,
            BAD_IMAGE, BAD_AUDIO, OUTPUT_NOT_WRITABLE, DISK_FULL; a movie that was there before is then left as it was.
    """
    check_suffix(asked.output, asked.codec)
    check_writable(
        asked.output, *([asked.sound] if asked.sound else []), *(shot_files(asked.plate) if asked.plate else [])
    )
    folder = Folder(asked.frames_folder, asked.prefix, suffix_of(asked.frames_folder, asked.prefix, asked.format))
    sound = Soundtrack(asked.sound, asked.sound_from) if asked.sound else None
    with ExitStack() as opened:
        filmed = None
        if asked.plate:
            shot = opened.enter_context(ShotReader(asked.plate, 16))
            start = shot.start if asked.plate_start is None else asked.plate_start
            filmed = Filmed(shot, start, frozenset(asked.as_filmed))
        frames = folder.frames(asked.frames, asked.hold, filmed)
        start = frame_of(asked.timecode, asked.fps) if asked.timecode else next(iter(frames))
        movie = Movie(list(frames.values()), asked.fps, asked.codec, start, sound)
        movie.write(asked.output, tell_progress if asked.progress else None)
    _sign(asked, [frame.file for frame in frames.values() if frame.file is not None])
    print(f"{len(frames)} frames. Saved: {asked.output}")
    return 0


def _sign(asked: argparse.Namespace, files: Sequence[Path]) -> None:
    """Signs the movie, or says why it has no credentials; without any frame that was rendered it needs none."""
    # Only now: what it takes to sign is slow to load.
    from portrait_server.provenance.attribution import attribute
    from portrait_server.provenance.signing import remove_side_car, sign_file

    try:
        remove_side_car(asked.output)
        if files and not asked.no_credentials:
            said = attribute(list(dict.fromkeys(files)), credentials_path(asked.frames_folder, asked.prefix))
            sign_file(asked.output, said.statement, parent=said.parent)
    except PortraitError as error:
        tell_unsigned(asked, error)


def suffix_of(folder: Path, prefix: str, form: str | None) -> str:
    """What the names of the frames end with that are meant: as is said, else pictures where there are some."""
    if form is not None:
        return SUFFIXES[form]
    return LAYERED if not frames_in(folder, prefix) and frames_in(folder, prefix, LAYERED) else PICTURES


def no_frames(folder: Path, prefix: str, suffix: str) -> PortraitError:
    """What a folder without frames comes to."""
    return PortraitError(
        ErrorCode.FILE_MISSING,
        f"No frames named {frame_path(folder, 1, prefix, suffix).name} and so on lie in {folder}.",
        "Give the folder of rendered frames, and --prefix where their names have one.",
    )


@dataclass(frozen=True)
class Filmed:
    """A shot under the frames.

    Attributes:
        start: the frame that shows its first picture.
        always: frames at which it is seen whatever was rendered of them before.
    """

    shot: ShotReader
    start: int
    always: frozenset[int]

    @property
    def numbers(self) -> range:
        return range(self.start, self.start + self.shot.frame_count)

    def frame(self, number: int) -> MovieFrame:
        return MovieFrame(f"Frame {number} of {self.shot.path.name}", partial(self.shot.frame, number - self.start))


@dataclass(frozen=True)
class Folder:
    """Rendered frames on the disk."""

    path: Path
    prefix: str
    suffix: str

    def frames(self, asked: list[int] | None, hold: bool, filmed: Filmed | None) -> dict[int, MovieFrame]:
        """The frames asked for, or all, by their numbers.

        Args:
            hold: whether one that is not there is the one before.
            filmed: what is seen where a frame was not rendered.

        Raises:
            PortraitError: FILE_MISSING; a folder without frames, or one with gaps, over which a movie would jump.
        """
        there = filmed.numbers if filmed is not None else frames_in(self.path, self.prefix, self.suffix)
        if not there:
            raise no_frames(self.path, self.prefix, self.suffix)
        found: dict[int, MovieFrame] = {}
        missing, last = [], None
        for number in asked or range(there[0], there[-1] + 1):
            file = frame_path(self.path, number, self.prefix, self.suffix)
            if filmed is not None and number in filmed.numbers and (number in filmed.always or not file.is_file()):
                last = filmed.frame(number)
            elif file.is_file():
                last = MovieFrame.of_file(file)
            elif last is None or not hold:
                missing.append(number)
                continue
            found[number] = last
        if missing:
            raise PortraitError(
                ErrorCode.FILE_MISSING,
                f"{len(missing)} frames are not in {self.path}, the first of them {missing[0]}.",
                "Render them first, choose with --frames those that are there, or --hold the frames before.",
            )
        return found
