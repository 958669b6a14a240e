# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command portrait render``: the panel's render for farms and scripts, blocking, with an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import bpy
from portrait_shared.devices import parse_device
from portrait_shared.errors import ErrorCode, PortraitError, system_refusal
from portrait_shared.frames.frame_numbers import joined, parse_frames
from portrait_shared.terminal import forgiving_output

from .connection import server
from .jobs import job_queue
from .jobs.job import Job, JobState
from .portraits.properties import PORTRAIT_PG_portrait
from .portraits.scene_portraits import all_portraits
from .render.render_job import RenderJob
from .render.shot_render_job import render_job

COMMAND = "portrait"


def main(arguments: list[str]) -> int:
    """Runs a command; what Blender passes is everything after the command's name.

    Returns:
        The exit status: 0 only if every frame asked for is there, 1 otherwise, 2 for wrong arguments.
    """
    with forgiving_output():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        asked = _parser().parse_args(joined(arguments))
    except SystemExit as ended:  # argparse ends Python; Blender is to end by itself
        return int(ended.code or 0)
    try:
        return _render(asked)
    except PortraitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {system_refusal(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blender --command portrait", description="Talking Portraits without a window"
    )
    render = parser.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "render", help="render the frames of a .blend's portraits"
    )
    render.add_argument("--blend", type=Path, metavar="FILE", help="the .blend; without it, the one that is loaded")
    render.add_argument(
        "--portrait",
        metavar="NAME",
        help="one portrait, with all faces of its photo that have a rig; without it, all of the file",
    )
    render.add_argument(
        "--frames",
        type=parse_frames,
        metavar="1-48",
        help="such as 1-48, 3,7 or -10--1; without it, the portrait's own range",
    )
    render.add_argument("--output", type=Path, metavar="DIR", help="without it, the portrait's own folder")
    render.add_argument("--engine", metavar="NAME", help="without it, the portrait's own engine")
    render.add_argument(
        "--depth", type=int, choices=(8, 16), help="bits of each color channel; without it, as the portrait says"
    )
    render.add_argument(
        "--format", choices=("png", "exr"), help="kind of the frames' files; without it, as the portrait says"
    )
    render.add_argument(
        "--device", type=parse_device, metavar="cuda:0,cuda:1", help="without it, as the preferences say"
    )
    render.add_argument("--save", action="store_true", help="save the .blend, its plane and strip with the frames")
    return parser


def _render(asked: argparse.Namespace) -> int:
    _open(asked.blend)
    failed = 0
    chosen = _choose(asked.portrait)
    if asked.output is not None and len(chosen) > 1:
        raise PortraitError(ErrorCode.SCENE, "--output takes the frames of one portrait.", "Choose it with --portrait.")
    launch = server.launch_plan(bpy.context, may_start=True, device=asked.device)
    for portrait in chosen:
        if asked.engine is not None:
            portrait.engine = asked.engine
        if asked.depth is not None:
            portrait.color_depth = str(asked.depth)
        if asked.format is not None:
            portrait.file_format = asked.format.upper()
        folder = Path(os.path.realpath(asked.output)) if asked.output is not None else None
        job = render_job(portrait.uid, launch, frames=asked.frames, folder=folder)
        job_queue.run(job, _Printer())
        for note in job.notes:
            print(f"Note: {note}", file=sys.stderr)
        if job.state is not JobState.DONE:
            failed += 1
            print(f"Error: {job.error or job.note}", file=sys.stderr)
    if asked.save:
        bpy.ops.wm.save_mainfile()
    return 1 if failed else 0


class _Printer:
    """Prints a line for each frame, once."""

    def __init__(self) -> None:
        self._printed: set[int] = set()

    def __call__(self, job: Job) -> None:
        if not isinstance(job, RenderJob):
            return
        for number, path in job.stored.items():
            if number not in self._printed:
                self._printed.add(number)
                print(f"Saved: {path}", flush=True)


def _open(blend: Path | None) -> None:
    if blend is None:
        return
    if not os.path.isfile(blend):
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {blend}.", "Check the path after --blend.")
    try:
        bpy.ops.wm.open_mainfile(filepath=os.path.realpath(blend))
    except RuntimeError as error:
        raise PortraitError(ErrorCode.FILE_MISSING, f"Blender cannot open {blend}: {error}".strip()) from error


def _choose(name: str | None) -> list[PORTRAIT_PG_portrait]:
    found = [portrait for _, portrait in all_portraits()]
    named = [portrait for portrait in found if name is None or portrait.name == name]
    # A photo's faces are rendered together, as the leading portrait says.
    chosen = [portrait for portrait in found if any(portrait == each.lead for each in named)]
    if not chosen:
        names = ", ".join(f"“{portrait.name}”" for portrait in found)
        raise PortraitError(
            ErrorCode.SCENE,
            "The file has no portraits." if not found else f"The file has no portrait “{name}”.",
            f"It has {names}." if found else "Add one with Add Portrait, and give the .blend with --blend.",
        )
    return chosen


_registered: list = []


def register() -> None:
    _registered.append(bpy.utils.register_cli_command(COMMAND, main))


def unregister() -> None:
    while _registered:
        bpy.utils.unregister_cli_command(_registered.pop())
