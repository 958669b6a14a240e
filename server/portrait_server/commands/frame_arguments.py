# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames are asked for on the command line, for every command that does: a photo or shot, tracks, how they shall be."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from portrait_shared.disclosure import CORNERS, SIZES, USUAL_SIZE, Disclosure, Label
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_numbers import parse_frames
from portrait_shared.layers import COLORSPACES, LAYERS, USUAL, in_order
from portrait_shared.protocol.connection import default_connection_file
from portrait_shared.track import MAX_SIDE_PIXELS

from portrait_server.commands.arguments import add_device, whole_number
from portrait_server.farm.frame_request import FrameRequest

_MAX_SIDE = 4096
_MAX_FACE = 10_000
_longer_side = whole_number(16, _MAX_SIDE, f"a side of 16 to {_MAX_SIDE} pixels, or two such as 640x480,")


def add_frame_arguments(parser: argparse.ArgumentParser, *, always: bool = True) -> argparse._MutuallyExclusiveGroup:
    """Adds all that `frame_request` makes a request of; returns the group of what frames are made of, one of which is given.

    Args:
        always: whether there is no other way to say what is drawn, so that a track must be given.
    """
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--reference", type=Path, action="append", default=[], metavar="PHOTO",
                         help="a photo of the person; more than one may be given, the first is the picture that moves")  # fmt: skip
    parser.add_argument("--reference-points", type=Path, action="append", default=[], metavar="POINTS.npz",
                        help="landmarks of each --reference, in the same order; where several faces are driven, of "
                             "each of them in the first, then of each further one (default: detected)")  # fmt: skip
    sources.add_argument("--plate", type=Path, metavar="SHOT|DIR",
                         help="a filmed shot, a movie or the folder of a numbered sequence of pictures, whose face is "
                         "moved in its own frames; DIR/name.####.png for one of several")  # fmt: skip
    parser.add_argument("--plate-points", type=Path, metavar="POINTS.npz",
                        help="landmarks of each frame of --plate (default: detected)")  # fmt: skip
    parser.add_argument("--face", type=whole_number(0, _MAX_FACE, "the number of a face"), action="append", default=[],
                        metavar="N", help="which face of the first reference the next --track drives, counted from 1 at "
                                          "the picture's left; 0 is the largest (default: 0)")  # fmt: skip
    parser.add_argument("--track", type=Path, action="append", default=[], required=always, metavar="TRACK.npz",
                        help="landmarks of each frame, in pixels of the first reference, or of the shot; further ones are "
                             "of further faces, each after its --face")  # fmt: skip
    add_frames(parser)
    parser.add_argument("--size", type=_parse_size, metavar="N|WxH",
                        help="longer side of the frames in pixels, or both (default: as the track)")  # fmt: skip
    parser.add_argument("--engine", metavar="NAME", help="what draws the frames (default: the server's)")
    parser.add_argument("--personal", type=Path, metavar="FILE",
                        help="draw with the engine tuned to the person by `portrait adapt`")  # fmt: skip
    parser.add_argument("--depth", type=int, choices=(8, 16), default=8,
                        help="bits of each color channel of the frames; 16 keeps what a photo of 16 bits has (default: 8)")  # fmt: skip
    parser.add_argument("--matte", action="store_true", help="write the person's alpha matte as a fourth channel")
    parser.add_argument("--format", choices=("png", "exr"), default="png",
                        help="files of the frames: pictures (png), or layers in OpenEXR (exr; default: png)")  # fmt: skip
    parser.add_argument("--layers", type=_parse_layers, metavar=",".join(USUAL),
                        help="what OpenEXR files hold (default: all)")  # fmt: skip
    parser.add_argument("--colorspace", choices=COLORSPACES, default=COLORSPACES[0],
                        help=f"scene-linear space of their colors (default: {COLORSPACES[0]})")  # fmt: skip
    parser.add_argument("--photo-digest", type=_parse_digest, metavar="HEX",
                        help="what frames name as their photo: its content hash where another program reads its pixels "
                        "(default: as it is read here)")  # fmt: skip
    _add_disclosure(parser)
    return sources


def _add_disclosure(parser: argparse.ArgumentParser) -> None:
    shown = parser.add_argument_group(
        "what frames show of having been made",
        "Frames carry an invisible watermark, by which `portrait verify` knows them when all else is lost.",
    )
    shown.add_argument("--no-watermark", action="store_true",
                       help="leave the watermark out: after a copy or a new encoding nothing tells programs any more that "
                       "the frames are made, as the law of some countries asks for; what files say of themselves stays")  # fmt: skip
    shown.add_argument("--label", nargs="?", const="", metavar="TEXT",
                       help="draw a visible label: the EU's icon “AI modified”, and an own wording where TEXT is given")  # fmt: skip
    shown.add_argument("--label-corner", choices=CORNERS, help=f"where it lies (default: {CORNERS[0]})")
    shown.add_argument("--label-size", type=float, metavar="PART",
                       help=f"its height in heights of the frame, {SIZES[0]} to {SIZES[1]} (default: {USUAL_SIZE})")  # fmt: skip
    shown.add_argument("--label-icon", action=argparse.BooleanOptionalAction,
                       help="whether the icon is shown beside an own wording (default: yes)")  # fmt: skip


def add_frames(parser: argparse.ArgumentParser, does: str = "render") -> None:
    """Adds `--frames`. Args: does: what is done with them."""
    parser.add_argument(
        "--frames", type=parse_frames, metavar="1-48", help=f"frames to {does}, such as 1-48, 3,7,10-12 or -10--1"
    )


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says where frames are drawn."""
    add_device(parser, "draws", several=True)
    parser.add_argument("--connect", type=Path, nargs="?", const=default_connection_file(), metavar="FILE",
                        help="use a server that runs already, found by its connection file, not one of its own")  # fmt: skip


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says which frames are drawn, and how it is told."""
    parser.add_argument(
        "--again", action="store_true", help="draw all frames anew, also those that are there and valid"
    )
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def frame_request(asked: argparse.Namespace) -> FrameRequest:
    """What was asked for.

    Raises:
        PortraitError: BAD_CONFIGURATION for options that do not go together, or without a track.
    """
    if not asked.track:
        raise PortraitError(ErrorCode.BAD_CONFIGURATION, "--track is missing.", "Give the landmarks of each frame.")
    return FrameRequest(
        tuple(asked.track), tuple(asked.reference), tuple(asked.reference_points), asked.plate, asked.plate_points,
        tuple(asked.face), asked.personal, tuple(asked.frames) if asked.frames else None, asked.engine, asked.size,
        asked.depth, asked.matte, _layers_of(asked), asked.colorspace,
        asked.photo_digest, _disclosure_of(asked),
    )  # fmt: skip


def _disclosure_of(asked: argparse.Namespace) -> Disclosure:
    told = {"corner": asked.label_corner, "size": asked.label_size, "icon": asked.label_icon}
    given = {name: value for name, value in told.items() if value is not None}
    if asked.label is None and given:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"--label-{next(iter(given))} is of a label.", "Add --label, too."
        )
    return Disclosure(not asked.no_watermark, None if asked.label is None else Label(asked.label, **given))


def _layers_of(asked: argparse.Namespace) -> tuple[str, ...]:
    """The layers that `--format` and `--layers` ask for; none where frames are pictures."""
    if asked.format == "exr":
        return asked.layers or USUAL
    if asked.layers:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, "PNG files hold no layers.", "Add --format exr, or leave out --layers."
        )
    return ()


def _parse_layers(text: str) -> tuple[str, ...]:
    """The layers of ``rgba,depth``, in order.

    Raises:
        argparse.ArgumentTypeError: there is no such layer, or none is named.
    """
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"“{unknown[0]}” is none of the layers {', '.join(LAYERS)}")
    return in_order(names)


def _parse_size(text: str) -> int | tuple[int, int]:
    if (both := re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)) is None:
        return _longer_side(text)
    size = int(both[1]), int(both[2])
    if not all(1 <= side <= MAX_SIDE_PIXELS for side in size):
        raise argparse.ArgumentTypeError(f"sides of 1 to {MAX_SIDE_PIXELS} pixels are needed")
    return size


def _parse_digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("64 digits from 0 to f are needed")
    return text
