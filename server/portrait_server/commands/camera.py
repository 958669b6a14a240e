# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait camera`: a face found live in a camera's pictures, and a list of the cameras that there are."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final

from portrait_shared.camera_lines import CameraEnded, CameraOpened, CameraSeen, line_of
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.commands.arguments import add_device
from portrait_server.detectors.following import FollowedFace
from portrait_server.detectors.registry import create_detector, detector_names
from portrait_server.live.camera_list import Camera, cameras, chosen, unavailable
from portrait_server.live.camera_pictures import (
    CameraPicture,
    PictureSource,
    PlayedFilm,
    keep_newest,
    open_camera,
)
from portrait_server.live.input_end import watch_input
from portrait_server.live.newest import Newest
from portrait_server.live.output_lines import write_line
from portrait_server.networks.device import resolve_device

STATUS_CAMERA_LOST: Final = 5
"""A camera that gave pictures gives none any more."""
_DETECTOR: Final = "mediapipe"  # the other one takes a second a picture on a processor
_SILENT_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 3.0
_FORGET_AFTER_FRAMES: Final = 30
_MAX_FPS: Final = 120.0
_FILMS: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("camera", nargs="?", default="", metavar="CAMERA",
                        help="a camera's number or a part of its name (default: the first), or a video file, which is "
                        "played as if it were one")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="say which cameras there are, and end")
    parser.add_argument("--json", action="store_true", help="--list: as JSON")
    parser.add_argument("--detector", choices=detector_names(), default=_DETECTOR,
                        help=f"what finds the face (default: {_DETECTOR}, which is fast enough on a processor)")  # fmt: skip
    parser.add_argument("--face", type=int, default=0, metavar="N",
                        help="which of several faces, counted from the picture's left, 1 first; 0, the default, for the largest")  # fmt: skip
    parser.add_argument(
        "--size", type=picture_size, metavar="WxH", help="the size of pictures that the camera is asked for"
    )
    parser.add_argument("--fps", type=picture_rate, metavar="N", help="frames per second that the camera is asked for")
    add_device(parser, "face-alignment computes")


def picture_size(text: str) -> tuple[int, int]:
    """A size on the command line, such as ``1280x720``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if not 16 <= min(width, height) <= max(width, height) <= 4096:
        raise argparse.ArgumentTypeError("a size such as 1280x720 is needed, its sides from 16 to 4096 pixels")
    return width, height


def picture_rate(text: str) -> float:
    """Pictures per second on the command line.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1 <= fps <= _MAX_FPS:
        raise argparse.ArgumentTypeError(f"1 to {_MAX_FPS:.0f} pictures per second are needed")
    return fps


def run(args: argparse.Namespace) -> int:
    """Prints `portrait_shared.camera_lines`, one for each picture that was looked at, until standard input or output ends.

    Raises:
        PortraitError: LIVE_UNAVAILABLE, FILE_MISSING, BAD_IMAGE, UNKNOWN_DETECTOR, DEVICE_UNAVAILABLE, WEIGHTS_MISSING.
    """
    if args.list:
        return _tell(cameras(), args.json)
    newest: Newest[CameraPicture] = Newest()
    source = _open(args)
    reader = threading.Thread(target=keep_newest, args=(source, newest), name="camera", daemon=True)
    watch_input(newest.close)
    try:
        device = resolve_device(args.device) if args.detector != _DETECTOR else "cpu"
        with closing(create_detector(args.detector, device)) as detector:
            reader.start()
            write_line(line_of(CameraOpened(source.name, source.size, source.fps, detector.name)))
            _look(newest, FollowedFace(detector, args.face, _FORGET_AFTER_FRAMES), source)
    except BrokenPipeError:
        return 0  # nobody reads any more
    finally:
        newest.close()
        if reader.is_alive():
            reader.join(_CLOSING_SECONDS)
        elif reader.ident is None:  # there is no detector
            source.close()
    return _end(newest.error)


def _open(args: argparse.Namespace) -> PictureSource:
    path = Path(args.camera)
    if args.camera and not args.camera.isdecimal() and path.suffix and path.is_file():
        return PlayedFilm(path)
    if (path.is_absolute() or path.suffix.lower() in _FILMS) and not path.exists():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check its name.")
    there: list[Camera] = []
    try:
        there = cameras()
    except PortraitError:
        if not args.camera.isdecimal():
            raise  # a number can be tried without the list
    return open_camera(chosen(args.camera, there), args.size, args.fps)


def _look(newest: Newest[CameraPicture], followed: FollowedFace, source: PictureSource) -> None:
    while True:
        picture = newest.take(_SILENT_SECONDS)
        if picture is None:
            if newest.closed:
                return
            newest.close(unavailable(
                f"The camera “{source.name}” has given no picture for {_SILENT_SECONDS:.0f} s.",
                "Look whether its lid is closed or it is asleep, and start again.",
            ))  # fmt: skip
            return
        try:
            face = followed.see(picture.image, "the picture").face
        except PortraitError as error:
            if error.code is not ErrorCode.NO_SUCH_FACE:
                raise
            face = None  # the second of two is asked for, and one of them is not there now
        height, width = picture.image.shape[:2]
        write_line(line_of(CameraSeen(picture.seconds, (width, height), None if face is None else face.points)))


def _end(error: Exception | None) -> int:
    if error is None:
        write_line(line_of(CameraEnded("", "The camera was closed.")))
        return 0
    if not isinstance(error, PortraitError):
        raise error
    write_line(line_of(CameraEnded(error.code, error.message, error.remedy)))
    print(f"portrait camera: {error.message}\n  {error.remedy}", file=sys.stderr, flush=True)
    return STATUS_CAMERA_LOST


def _tell(there: list[Camera], as_json: bool) -> int:
    if as_json:
        print(json.dumps([asdict(camera) for camera in there], ensure_ascii=False))
        return 0
    for camera in there:
        said = f": {camera.problem} {camera.remedy}" if camera.problem else ""
        print(f"{camera.number}  {camera.name}{said}")
    if not there:
        print("This machine has no camera.")
    return 0
