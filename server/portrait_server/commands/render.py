# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render`: frames from a photo and a landmark track, through the client and server the extension uses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.client.rendering import store_frames
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_numbers import parse_frames
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import COLORSPACES, USUAL
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.connection import default_connection_file
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack
from tqdm import tqdm

from portrait_server.commands.arguments import add_device, parse_layers, whole_number
from portrait_server.media.images import read_image

_MAX_SIDE = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reference", type=Path, action="append", required=True, metavar="PHOTO",
                        help="a photo of the person; more than one may be given, the first is the picture that moves")  # fmt: skip
    parser.add_argument("--reference-points", type=Path, action="append", default=[], metavar="POINTS.npz",
                        help="landmarks of each --reference, in the same order (default: detected)")  # fmt: skip
    parser.add_argument("--track", type=Path, required=True, metavar="TRACK.npz",
                        help="landmarks of each frame, in pixels of the first reference")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for 0001.png … or 0001.exr …")
    parser.add_argument(
        "--frames", type=parse_frames, metavar="1-48", help="frames to render, such as 1-48, 3,7,10-12 or -10--1"
    )
    parser.add_argument(
        "--size",
        type=whole_number(16, _MAX_SIDE, f"a side of 16 to {_MAX_SIDE} pixels"),
        metavar="N",
        help="longer side of the frames in pixels (default: as the track)",
    )
    parser.add_argument("--engine", metavar="NAME", help="what draws the frames (default: the server's)")
    parser.add_argument("--personal", type=Path, metavar="FILE",
                        help="draw with the engine tuned to the person by `portrait adapt`")  # fmt: skip
    add_device(parser, "draws")
    parser.add_argument("--depth", type=int, choices=(8, 16), default=8,
                        help="bits of each color channel of the frames; 16 keeps what a photo of 16 bits has (default: 8)")  # fmt: skip
    parser.add_argument("--matte", action="store_true", help="write the person's alpha matte as a fourth channel")
    parser.add_argument("--format", choices=("png", "exr"), default="png",
                        help="files of the frames: pictures (png), or layers in OpenEXR (exr; default: png)")  # fmt: skip
    parser.add_argument("--layers", type=parse_layers, metavar=",".join(USUAL),
                        help="what OpenEXR files hold (default: all)")  # fmt: skip
    parser.add_argument("--colorspace", choices=COLORSPACES, default=COLORSPACES[0],
                        help=f"scene-linear space of their colors (default: {COLORSPACES[0]})")  # fmt: skip
    parser.add_argument("--connect", type=Path, nargs="?", const=default_connection_file(), metavar="FILE",
                        help="use a server that runs already, found by its connection file, not one of its own")  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    track = LandmarkTrack.load(asked.track)
    frames = asked.frames or list(track.frame_numbers)
    points, body = track.rows_of(frames), track.body_of(frames)
    layers = _layers(asked)
    references = load_references(asked.reference, asked.reference_points)
    photo = references[0].digest
    if asked.depth == 16:
        references[0] = ReferenceImage(read_image(asked.reference[0], 16), references[0].points)
    height, width = references[0].image.shape[:2]
    if track.size != (width, height):
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"The track was made for a picture of {track.size[0]}x{track.size[1]} pixels, "
            f"but {asked.reference[0]} has {width}x{height}.",
            "Use the photo that the track was made for, or scale the track's points and size to this photo.",
        )
    personal = PersonalFile.load(asked.personal) if asked.personal else None
    with _client(asked) as client:
        portrait = client.prepare(references, engine=asked.engine, personal=personal)
        saved = 0
        with tqdm(total=len(frames), unit="frame", desc="Rendering", disable=None) as bar:
            for _, path, _ in store_frames(client, portrait, points, frames, asked.output,
                                        size=_output_size(track.size, asked.size), matte=asked.matte, photo=photo,
                                        body=body, layers=layers, colorspace=asked.colorspace,
                                        times=track_times(track)):  # fmt: skip
                bar.update()
                print(f"Saved: {path}", flush=True)
                saved += 1
    return 0 if saved == len(frames) else 1


def _layers(asked: argparse.Namespace) -> tuple[str, ...]:
    """The layers of the frames; none where they are pictures.

    Raises:
        PortraitError: BAD_MESSAGE for layers of pictures.
    """
    if asked.format == "exr":
        return asked.layers or USUAL
    if asked.layers:
        raise PortraitError(
            ErrorCode.BAD_MESSAGE, "PNG files hold no layers.", "Add --format exr, or leave out --layers."
        )
    return ()


def track_times(track: LandmarkTrack) -> FrameTimes:
    """When a track's frames are shown; where it holds the array `timecode`, a text, that is its first frame's.

    Raises:
        PortraitError: BAD_TRACK.
    """
    timecode = track.extra.get("timecode")
    return FrameTimes(track.fps, "" if timecode is None else str(timecode), track.start)


def load_references(photos: list[Path], point_files: list[Path]) -> list[ReferenceImage]:
    """Photos with the landmarks given for them; those without are detected by the server.

    Raises:
        PortraitError: a photo or a file of points that cannot be used.
    """
    if point_files and len(point_files) != len(photos):
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"{len(photos)} references but {len(point_files)} files of reference points were given.",
            "Give one --reference-points for each --reference, in the same order, or none at all.",
        )
    return [
        ReferenceImage(image := read_image(photo), _points_of(point_files[i], photo, image) if point_files else None)
        for i, photo in enumerate(photos)
    ]


def _points_of(path: Path, photo: Path, image: np.ndarray) -> np.ndarray:
    track = LandmarkTrack.load(path)
    height, width = image.shape[:2]
    if len(track) != 1 or track.size != (width, height):
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"{path} holds {len(track)} frames for a picture of {track.size[0]}x{track.size[1]} pixels; "
            f"one frame for {width}x{height} is needed, the size of {photo}.",
            f"Make it with `portrait landmarks {photo} --output {path}`.",
        )
    return track.points[0]


def _client(asked: argparse.Namespace) -> Client:
    if asked.connect is None:
        command = [sys.executable, "-m", "portrait_server"]
        return Client(ServerProcess(command, device=asked.device), name="portrait render")
    connection = find_server(asked.connect)
    if connection is None:
        raise PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, f"No server answers at {asked.connect}.",
            "Start one with `portrait serve`, or leave out --connect.",
        )  # fmt: skip
    return Client(connection, name="portrait render")


def _output_size(size: tuple[int, int], longer_side: int | None) -> tuple[int, int]:
    if longer_side is None:
        return size
    scale = longer_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
