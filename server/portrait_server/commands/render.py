# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render`: frames from a photo and a landmark track, through the client and server the extension uses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.client.rendering import store_frames
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.frames.frame_files import LAYERED, PICTURES, frame_path
from portrait_shared.frames.frame_numbers import parse_frames
from portrait_shared.layers import COLORSPACES, USUAL
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.connection import default_connection_file
from portrait_shared.protocol.references import ReferenceImage

from portrait_server.commands.arguments import (
    add_device,
    layers_of,
    parse_layers,
    tell_saved,
    track_times,
    whole_number,
)
from portrait_server.commands.driven_faces import DrivenFaces, load_references
from portrait_server.commands.render_shot import add_shot_arguments, render_shot
from portrait_server.media.images import read_image

_MAX_SIDE = 4096
_MAX_FACE = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--reference", type=Path, action="append", metavar="PHOTO",
                         help="a photo of the person; more than one may be given, the first is the picture that moves")  # fmt: skip
    parser.add_argument("--reference-points", type=Path, action="append", default=[], metavar="POINTS.npz",
                        help="landmarks of each --reference, in the same order; where several faces are driven, of "
                             "each of them in the first, then of each further one (default: detected)")  # fmt: skip
    add_shot_arguments(parser, sources)
    parser.add_argument("--face", type=whole_number(0, _MAX_FACE, "the number of a face"), action="append", default=[],
                        metavar="N", help="which face of the first reference the next --track drives, counted from 1 at "
                                          "the picture's left; 0 is the largest (default: 0)")  # fmt: skip
    parser.add_argument("--track", type=Path, action="append", required=True, metavar="TRACK.npz",
                        help="landmarks of each frame, in pixels of the first reference, or of the shot; further ones are "
                             "of further faces, each after its --face")  # fmt: skip
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
    parser.add_argument(
        "--again", action="store_true", help="draw all frames anew, also those that are there and valid"
    )
    parser.add_argument("--connect", type=Path, nargs="?", const=default_connection_file(), metavar="FILE",
                        help="use a server that runs already, found by its connection file, not one of its own")  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    if asked.plate is not None:
        return render_shot(asked)
    if asked.plate_points is not None:
        raise PortraitError(ErrorCode.BAD_CONFIGURATION, "--plate-points are of a --plate.", "Give the shot, too.")
    driven = DrivenFaces.load(asked.face, asked.track)
    track = driven.first
    frames = asked.frames or list(track.frame_numbers)
    points, body, others = driven.rows_of(frames)
    layers = layers_of(asked)
    references, given = load_references(asked.reference, asked.reference_points, len(driven.tracks))
    photo = references[0].digest
    if asked.depth == 16:
        references[0] = ReferenceImage(read_image(asked.reference[0], 16), references[0].points)
    driven.check_size(asked.reference[0], references[0].size)
    suffix = LAYERED if layers else PICTURES
    keep_sources((frame_path(asked.output, number, suffix=suffix) for number in frames), asked.reference)
    personal = PersonalFile.load(asked.personal) if asked.personal else None
    with _client(asked) as client:
        references[0], further = driven.found(client, references[0], given)
        portrait = client.prepare(references, engine=asked.engine, personal=personal, others=further)
        stored = store_frames(
            client, portrait, points, frames, asked.output, size=_output_size(track.size, asked.size),
            matte=asked.matte, photo=photo, body=body, others=others, layers=layers, colorspace=asked.colorspace,
            times=track_times(track) if layers else None, again=asked.again,
        )  # fmt: skip
        return tell_saved((frame.path for frame in stored), len(frames), asked.progress)


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
