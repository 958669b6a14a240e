# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render --plate`: frames of a filmed shot with its face changed, drawn by this process itself."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.personal import PersonalFile
from portrait_shared.shots import ShotIdentity, identify_shot
from portrait_shared.track import LandmarkTrack

from portrait_server.commands.arguments import layers_of, tell_saved, track_times
from portrait_server.detectors.registry import create_detector, default_detector_name
from portrait_server.engines.base import Engine
from portrait_server.engines.loaded_engines import TUNED_ENGINE, tunable
from portrait_server.engines.registry import DEFAULT_ENGINE, create_engine
from portrait_server.networks.device import resolve_device
from portrait_server.shots.landmarks import points_of_shot
from portrait_server.shots.matching import check_found, check_targets
from portrait_server.shots.reader import ShotReader
from portrait_server.shots.rendering import ShotRender

_OF_PHOTOS: Final = ("reference_points", "size", "matte", "connect")


def add_shot_arguments(parser: argparse.ArgumentParser, sources: argparse._MutuallyExclusiveGroup) -> None:
    """Adds `--plate` to what a command may draw from, and what goes with it."""
    sources.add_argument("--plate", type=Path, metavar="SHOT|DIR",
                         help="a filmed shot, a movie or the folder of a numbered sequence of pictures, whose face is "
                         "moved in its own frames; DIR/name.####.png for one of several")  # fmt: skip
    parser.add_argument("--plate-points", type=Path, metavar="POINTS.npz",
                        help="landmarks of each frame of --plate (default: detected)")  # fmt: skip
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def render_shot(asked: argparse.Namespace) -> int:
    """Writes the frames of a shot.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE, SIZE_MISMATCH, BAD_TRACK, BAD_POINTS, NO_FACE,
            BAD_CONFIGURATION, UNKNOWN_ENGINE, WEIGHTS_MISSING, BAD_WEIGHTS, DEVICE_UNAVAILABLE, OUTPUT_NOT_WRITABLE,
            DISK_FULL.
    """
    _refuse_options_of_photos(asked)
    (track_file,) = asked.track
    track = LandmarkTrack.load(track_file)
    frames, layers = asked.frames or list(track.frame_numbers), layers_of(asked)
    track.rows_of(frames)
    given = None if asked.plate_points is None else LandmarkTrack.load(asked.plate_points)
    with ShotReader(asked.plate, asked.depth) as shot:
        if (pictures := sequence_at(asked.plate)) is not None:
            keep_sources([asked.output], [pictures.folder])
        identity = identify_shot(asked.plate, None if given is None else ShotIdentity.of_track(given))
        if given is None:
            with closing(create_detector(default_detector_name(), resolve_device(asked.device))) as detector:
                given = points_of_shot(asked.plate, detector, *asked.face)
        check_found(shot, identity, given, str(asked.plate_points or "The track that was detected"))
        check_targets(given, track, str(track_file), frames)
        engine = _engine(asked)
        for note in shot.notes:
            print(f"Note: {note}")
        print(f"Engine: {engine.name} {engine.fingerprint}", flush=True)
        render = ShotRender(
            shot,
            identity.digest,
            given,
            track,
            engine,
            frames,
            layers,
            asked.colorspace,
            track_times(track) if layers else None,
        )
        stored = (path for _, path in render.store(asked.output, again=asked.again))
        return tell_saved(stored, len(frames), asked.progress)


def _refuse_options_of_photos(asked: argparse.Namespace) -> None:
    refused = [name for name in _OF_PHOTOS if getattr(asked, name)]
    if len(asked.face) > (asked.plate_points is None):
        refused.append("face")
    if len(asked.track) > 1:
        refused.append("track")
    if refused:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION,
            f"{'A second ' if refused[0] == 'track' else ''}--{refused[0].replace('_', '-')} does not go with --plate.",
            "Leave it out: of a shot one face is drawn, as large as the shot is, without a server.",
        )  # fmt: skip


def _engine(asked: argparse.Namespace) -> Engine:
    personal = PersonalFile.load(asked.personal) if asked.personal else None
    name = asked.engine or (DEFAULT_ENGINE if personal is None else TUNED_ENGINE)
    engine = create_engine(name, resolve_device(asked.device))
    return engine if personal is None else tunable(engine).tuned(personal)
