# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait landmarks`: a photograph, a video or a sequence of pictures to a landmark track."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from portrait_shared.files.picture_sequences import shot_files
from portrait_shared.files.whole_files import check_place, keep_sources, write_error
from portrait_shared.frames.frame_numbers import ranges_of
from portrait_shared.track import LandmarkTrack

from portrait_server.commands.arguments import add_device, tell_progress
from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector, default_detector_name, detector_names
from portrait_server.detectors.tracking import VideoPart, track_of_photo
from portrait_server.media.images import is_picture, opaque, read_image
from portrait_server.networks.device import resolve_device
from portrait_server.shots.landmarks import points_of_shot
from portrait_server.shots.reader import SEQUENCE_FPS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="PHOTO|VIDEO|DIR",
                        help="a picture or a video of a face, or the folder of a numbered sequence of pictures; "
                        "DIR/name.####.png for one of several")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="TRACK.npz", help="where the track is written")
    parser.add_argument(
        "--detector",
        metavar="NAME",
        help=f"{' or '.join(detector_names())}; face-alignment where its weights are, else mediapipe",
    )
    parser.add_argument(
        "--face",
        type=int,
        metavar="N",
        help="which of several faces, counted from the picture's left, 1 first; 0, the default, for the largest; "
        "in a video, in the first frame with faces",
    )
    add_device(parser, "face-alignment computes")
    parser.add_argument("--fps", type=rate, metavar="N",
                        help=f"frames per second of a sequence of pictures (default: {SEQUENCE_FPS:g})")  # fmt: skip
    parser.add_argument("--smooth", action="store_true", help="video: remove trembling; blinks and speech are kept")
    parser.add_argument(
        "--from", dest="start", type=seconds, default=0.0, metavar="SECONDS", help="video: where to begin"
    )
    parser.add_argument("--to", dest="end", type=seconds, metavar="SECONDS", help="video: where to end")
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def seconds(text: str) -> float:
    """A time on the command line; what is no finite number is refused by argparse."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def rate(text: str) -> float:
    """Frames per second on the command line; what is not above 0 is refused by argparse."""
    value = seconds(text)
    if value <= 0:
        raise ValueError(text)
    return value


def run(args: argparse.Namespace) -> int:
    """Writes the track and says what was found.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE, SIZE_MISMATCH, NO_FACE, NO_SUCH_FACE, UNKNOWN_DETECTOR,
            WEIGHTS_MISSING, DEVICE_UNAVAILABLE, BAD_CONFIGURATION, OUTPUT_NOT_WRITABLE; nothing is written then.
    """
    check_writable(args.output, *shot_files(args.input))
    picture = read_image(args.input) if _is_picture_or_missing(args.input) else None
    name = args.detector or default_detector_name()
    device = resolve_device(args.device) if name == "face-alignment" else "cpu"  # mediapipe needs no torch
    with closing(create_detector(name, device)) as detector:
        if picture is not None:
            track = track_of_photo(opaque(picture), detector, args.face, str(args.input))
        else:
            track = _track_of_shot(args, detector)
        found = int(track.extra["detected"].sum())
        frames = "1 picture" if picture is not None else f"{found} of {len(track)} frames"
        track.save(args.output)
        print(f"Face found by {detector.name} in {frames}. Saved: {args.output}")
    return 0


def _track_of_shot(args: argparse.Namespace, detector: Detector) -> LandmarkTrack:
    """That of a video or a sequence; says where it cuts and where there is no face."""
    part = VideoPart(args.start, args.end, tell_progress if args.progress else None)
    track = points_of_shot(args.input, detector, args.face, smoothed=args.smooth, part=part, fps=args.fps)
    _say_frames("A new shot begins at", track.start, np.flatnonzero(track.extra["cuts"]))
    _say_frames("No face in", track.start, np.flatnonzero(~track.extra["detected"]))
    return track


def _say_frames(what: str, start: int, indices: Iterable[int]) -> None:
    if numbers := [start + int(index) for index in indices]:
        print(f"{what}: {ranges_of(numbers)}")


def _is_picture_or_missing(path: Path) -> bool:
    """What is nothing at all is left to `read_image` to refuse."""
    if os.path.isfile(path):
        return is_picture(path)
    return not os.path.isdir(path) and "#" not in path.name


def check_writable(output: Path, *sources: Path) -> None:
    """Refuses an impossible output before minutes of work, and one that is a source itself.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        check_place(output)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        remedy = "Choose a file in a folder that exists and that you may write to."
        raise write_error(output, error, remedy) from error
    keep_sources([output], sources)
