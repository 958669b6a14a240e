# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait evaluate`: how well an engine reproduces real clips."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole
from portrait_shared.frames.frame_files import prepare_folder
from portrait_shared.protocol.references import MAX_REFERENCES
from tqdm import tqdm

from portrait_server.commands.arguments import add_device
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine
from portrait_server.engines.registry import DEFAULT_ENGINE, ENGINES, create_engine
from portrait_server.evaluation.clips import Clip, ClipFile, find_clips, open_clip
from portrait_server.evaluation.dlib_faces import DlibFaces, why_missing
from portrait_server.evaluation.reenactment import Judge, Trial, check_length, scored_numbers
from portrait_server.evaluation.report import Row, figures_file, table
from portrait_server.evaluation.sheet import sheet_file, strip
from portrait_server.networks.device import resolve_device
from portrait_server.tuning.clip_tuner import ClipTuner, tuned_by
from portrait_server.tuning.process import use_half_the_cores

_CLIPS_ON_SHEET = 12
_NEVER_MEASURED = "the real network's weights come with no package, and another network's figure may not bear the name"

EngineFor = Callable[[Clip, int], Engine]
"""What draws a clip from so many of its frames."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", type=Path, metavar="CLIPS",
                        help="a folder of clips: videos, or folders of frames with their track.npz; or one of those")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="folder for figures.json and contact_sheet.png")  # fmt: skip
    parser.add_argument("--engine", default=DEFAULT_ENGINE, metavar="NAME",
                        help=f"what draws the frames: {', '.join(sorted(ENGINES))} (default: {DEFAULT_ENGINE})")  # fmt: skip
    parser.add_argument("--references", type=_counts, default=[1, 8, 32], metavar="1,8,32",
                        help="numbers of reference frames to try, each 1 to 32 (default: 1,8,32)")  # fmt: skip
    parser.add_argument("--frames", type=_frames, default=48, metavar="N",
                        help="the most frames taken of each clip, spread over it (default: 48)")  # fmt: skip
    parser.add_argument("--cross", action="store_true", help="also drive each clip's person by the next clip's motion")
    tuning = parser.add_mutually_exclusive_group()
    tuning.add_argument("--tuned", action="store_true",
                        help="also score the engine tuned to each clip by the same reference frames, for each of "
                             "--references; each tuning takes as long as `portrait adapt`")  # fmt: skip
    tuning.add_argument("--personal", type=Path, metavar="FILE",
                        help="also score the engine tuned by this file of `portrait adapt`")  # fmt: skip
    add_device(parser, "draws")


def run(asked: argparse.Namespace) -> int:
    """Prints the table and writes the figures and the sheet, each at once or not at all.

    Raises:
        PortraitError: clips that are missing, damaged or too short, an unknown engine, a folder that cannot be
            written; nothing is rendered or written then.
    """
    paths = find_clips(asked.clips)
    if asked.cross and len(paths) < 2:
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"--cross needs two clips or more, but {asked.clips} holds one.", "Leave out --cross."
        )
    if asked.tuned:
        use_half_the_cores()  # before an engine loads torch, which asks how to wait only then
    device = resolve_device(asked.device)
    engine = create_engine(asked.engine, device)
    prepare_folder(asked.output)
    dlib_missing = why_missing()
    faces = None if dlib_missing else DlibFaces()
    rows: list[Row] = []
    strips: list[np.ndarray] = []
    with contextlib.ExitStack() as open_things:
        tuner = None
        if asked.tuned:
            tuner = ClipTuner(engine, open_things.enter_context(contextlib.closing(create_detector("mediapipe"))))
        ways = _ways(engine, asked.personal, tuner)
        clips = _looked_through(paths, asked.frames, asked.references, device)
        trials = len(paths) * len(asked.references) * len(ways)
        bar = open_things.enter_context(tqdm(total=trials, unit="trial", desc="Evaluating", disable=None))
        for number, (clip, driver) in enumerate(_pairs(clips)):
            found, pictures = _evaluate(ways, faces, clip, driver if asked.cross else None, asked.references, bar)
            rows += found
            strips += pictures if number < _CLIPS_ON_SHEET else []

    left_out = {"fid": _NEVER_MEASURED, "lpips": _NEVER_MEASURED}
    if dlib_missing:
        left_out |= {"id": dlib_missing, "lmk": dlib_missing}
    print(table(rows))
    for column, why in left_out.items():
        print(f"Left out: {column}: {why}")
    results = {
        "figures.json": figures_file(rows, _about(engine, device, asked, tuner), left_out),
        "contact_sheet.png": sheet_file(strips),
    }
    for name, data in results.items():
        write_whole(asked.output / name, data)
        print(f"Saved: {asked.output / name}")
    return 0


def _ways(engine: Engine, personal: Path | None, tuner: ClipTuner | None) -> dict[bool, EngineFor]:
    """Feed-forward, and tuned where that is asked for."""
    ways: dict[bool, EngineFor] = {False: lambda clip, count: engine}
    if personal is not None:
        tuned = tuned_by(engine, personal)
        ways[True] = lambda clip, count: tuned
    elif tuner is not None:
        ways[True] = tuner.tuned
    return ways


def _looked_through(paths: Sequence[Path], most_frames: int, references: Sequence[int], device: str) -> list[ClipFile]:
    """The clips, each read once from end to end, so that a bad last one does not end hours of rendering.

    Their frames are not kept: those of many clips would fill the memory. Their landmarks are.
    """
    found = []
    for path in tqdm(paths, unit="clip", desc="Reading", disable=None):
        clip = open_clip(path, most_frames, device)
        check_length(clip.load(), references)
        found.append(clip)
    return found


def _pairs(clips: Sequence[ClipFile]) -> Iterator[tuple[Clip, Clip]]:
    """Each clip and the one after it, the first after the last; never more than three in memory."""
    first = clip = clips[0].load()
    for file in clips[1:]:
        following = file.load()
        yield clip, following
        clip = following
    yield clip, first


def _evaluate(
    ways: dict[bool, EngineFor],
    faces: DlibFaces | None,
    clip: Clip,
    driver: Clip | None,
    references: Sequence[int],
    bar: tqdm,
) -> tuple[list[Row], list[np.ndarray]]:
    """Rows of one clip, and its strips of the sheet."""
    scored = scored_numbers(len(clip), references)
    rows: list[Row] = []
    own: list[np.ndarray] = []
    others: list[np.ndarray] = []

    def note(trial: str, driver: Clip, count: int, tuned: bool, result: Trial) -> np.ndarray:
        rows.append(Row(trial, clip.name, driver.name, count, tuned, len(result.numbers), result.figures))
        way = f"{count} reference{'s' if count > 1 else ''}{', tuned' if tuned else ''}"
        return strip(f"{clip.name} driven by {driver.name}, {way}", result.made)

    own.append(strip(f"{clip.name}, real", [clip.frames[number] for number in scored]))
    for count in references:
        for tuned, engine_for in ways.items():
            judge = Judge(engine_for(clip, count), faces)
            own.append(note("self", clip, count, tuned, judge.own_motion(clip, count, scored)))
            if driver is not None:
                result = judge.others_motion(clip, count, driver)
                if not others:
                    others.append(strip(f"{driver.name}, real", [driver.frames[number] for number in result.numbers]))
                others.append(note("cross", driver, count, tuned, result))
            bar.update()
    return rows, own + others


def _about(engine: Engine, device: str, asked: argparse.Namespace, tuner: ClipTuner | None) -> dict[str, object]:
    return {
        "version": __version__,
        "engine": engine.name,
        "fingerprint": engine.fingerprint,
        "device": device,
        "references": asked.references,
        "most_frames": asked.frames,
        "personal": asked.personal.name if asked.personal else None,
        "tunings": tuner.tunings if tuner else [],
    }


def _counts(text: str) -> list[int]:
    counts = sorted({int(part) for part in text.split(",")})
    if not 1 <= counts[0] <= counts[-1] <= MAX_REFERENCES:
        raise argparse.ArgumentTypeError(f"numbers from 1 to {MAX_REFERENCES} are needed, such as 1,8,32")
    return counts


def _frames(text: str) -> int:
    frames = int(text)
    if frames < 2:
        raise argparse.ArgumentTypeError("at least two frames are needed: one is the reference")
    return frames
