# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command portrait render|job|install``: the panel's render, its farm jobs and its installation of the server,
for scripts: blocking, with an exit status."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import bpy
from portrait_shared.devices import parse_device
from portrait_shared.errors import SYSTEM_REMEDY, ErrorCode, PortraitError, system_refusal
from portrait_shared.frames.frame_numbers import joined, parse_frames
from portrait_shared.terminal import forgiving_output

from .connection import preferences, server, server_installing
from .export.farm_job import FarmJobExport
from .installation.choices import BACKENDS
from .jobs import job_queue
from .jobs.job import Job, JobState
from .portraits.properties import PORTRAIT_PG_portrait
from .portraits.scene_portraits import all_portraits
from .render.ray_render_job import render_job
from .render.render_job import RenderJob

COMMAND = "portrait"
_STATUS_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Runs a command; what Blender passes is everything after the command's name.

    Returns:
        The exit status: 0 only if every frame asked for is there, 1 otherwise, 2 for wrong arguments, 130 after Ctrl-C.
    """
    with forgiving_output():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        asked = _parser().parse_args(joined(arguments))
    except SystemExit as ended:  # argparse ends Python; Blender is to end by itself
        return int(ended.code or 0)
    try:
        return asked.run(asked)
    except PortraitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {system_refusal(error)} {SYSTEM_REMEDY}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What is complete is kept: the same command goes on from there.", file=sys.stderr)
        return _STATUS_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blender --command portrait", description="Talking Portraits without a window"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    render = actions.add_parser("render", help="render the frames of a .blend's portraits")
    render.set_defaults(run=_render)
    _add_frames_of(render, "without it, all of the file")
    render.add_argument("--output", type=Path, metavar="DIR", help="without it, the portrait's own folder")
    render.add_argument("--save", action="store_true", help="save the .blend, its plane and strip with the frames")
    job = actions.add_parser("job", help="write a folder from which machines without Blender render the frames")
    job.set_defaults(run=_write_job)
    job.add_argument("job", type=Path, metavar="JOB", help="the new folder")
    _add_frames_of(job, "needed where the file has several photos or shots")
    install = actions.add_parser("install", help="install the server, as the button Install Server does")
    install.set_defaults(run=_install)
    install.add_argument("--folder", type=Path, metavar="DIR", help="from this folder of wheels, without any network")
    install.add_argument("--backend", choices=BACKENDS, help="without it, as the preferences say")
    install.add_argument("--index", metavar="URL", help="without it, as the preferences say")
    install.add_argument("--repair", action="store_true", help="check every file of the one that is there")
    return parser


def _add_frames_of(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Which frames are meant, and what differs from the portrait's own settings.

    Args:
        otherwise: what of no --portrait.
    """
    parser.add_argument("--blend", type=Path, metavar="FILE", help="the .blend; without it, the one that is loaded")
    parser.add_argument(
        "--portrait", metavar="NAME", help=f"one portrait, with all faces of its photo that have a rig; {otherwise}"
    )
    parser.add_argument(
        "--frames",
        type=parse_frames,
        metavar="1-48",
        help="such as 1-48, 3,7 or -10--1; without it, the portrait's own range",
    )
    parser.add_argument("--engine", metavar="NAME", help="without it, the portrait's own engine")
    parser.add_argument(
        "--depth", type=int, choices=(8, 16), help="bits of each color channel; without it, as the portrait says"
    )
    parser.add_argument(
        "--format", choices=("png", "exr"), help="kind of the frames' files; without it, as the portrait says"
    )
    parser.add_argument(
        "--device", type=parse_device, metavar="cuda:0,cuda:1", help="without it, as the preferences say"
    )


def _render(asked: argparse.Namespace) -> int:
    _open(asked.blend)
    failed = 0
    chosen = _choose(asked.portrait)
    if asked.output is not None and len(chosen) > 1:
        raise PortraitError(ErrorCode.SCENE, "--output takes the frames of one portrait.", "Choose it with --portrait.")
    launch = server.launch_plan(bpy.context, may_start=True, device=asked.device)
    for portrait in chosen:
        _set(portrait, asked)
        folder = Path(os.path.realpath(asked.output)) if asked.output is not None else None
        failed += not _done(render_job(portrait.uid, launch, frames=asked.frames, folder=folder))
    if asked.save:
        bpy.ops.wm.save_mainfile()
    return 1 if failed else 0


def _write_job(asked: argparse.Namespace) -> int:
    _open(asked.blend)
    chosen = _choose(asked.portrait)
    if len(chosen) > 1:
        names = ", ".join(f"“{portrait.name}”" for portrait in chosen)
        raise PortraitError(
            ErrorCode.SCENE, "A job holds the frames of one portrait.", f"Choose it with --portrait: {names}."
        )
    _set(chosen[0], asked)
    launch = server.launch_plan(bpy.context, may_start=True, device=asked.device)
    job = FarmJobExport(chosen[0].uid, launch, Path(os.path.realpath(asked.job)), asked.frames)
    if not _done(job):
        return 1
    print(f"Job: {job.folder}", flush=True)
    return 0


def _install(asked: argparse.Namespace) -> int:
    choice = preferences.choice(bpy.context)
    choice = dataclasses.replace(
        choice,
        backend=asked.backend or choice.backend,
        index=choice.index if asked.index is None else asked.index,
        wheels=choice.wheels if asked.folder is None else Path(os.path.realpath(asked.folder)),
    )
    server_installing.begin(choice, lambda: True, asked.repair)
    there = server_installing.wait(lambda progress: print(f"{progress.fraction:4.0%} {progress.words}", flush=True))
    for note in server_installing.notes():
        print(f"Note: {note}", file=sys.stderr)
    print(f"Installed: {there.program}", flush=True)
    return 0


def _set(portrait: PORTRAIT_PG_portrait, asked: argparse.Namespace) -> None:
    """Gives a portrait the settings that were asked for."""
    if asked.engine is not None:
        portrait.engine = asked.engine
    if asked.depth is not None:
        portrait.color_depth = str(asked.depth)
    if asked.format is not None:
        portrait.file_format = asked.format.upper()


def _done(job: Job) -> bool:
    """Works a job off, and says what came of it."""
    job_queue.run(job, _Printer())
    for note in job.notes:
        print(f"Note: {note}", file=sys.stderr)
    if job.state is not JobState.DONE:
        print(f"Error: {job.error or job.note}", file=sys.stderr)
    return job.state is JobState.DONE


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
