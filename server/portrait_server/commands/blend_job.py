# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job write --blend`: a portrait of a Blender scene as a job, exported by Blender in a process of its own."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_numbers import ranges_of
from portrait_shared.layers import COLORSPACES

from portrait_server.farm.farm_job import JOB_FILE

_OF_THE_PORTRAIT: Final[dict[str, Any]] = {
    "reference_points": [], "plate_points": None, "face": [], "track": [], "size": None, "engine": None,
    "personal": None, "depth": 8, "matte": False, "format": "png", "layers": None, "colorspace": COLORSPACES[0],
    "photo_digest": None, "connect": None, "no_watermark": False, "label": None, "label_corner": None, "label_size": None,
    "label_icon": None, "consent": [],
}  # fmt: skip
"""Options that a .blend says itself, and their values where they were not given."""
_SERVER_VARIABLE: Final = "TALKING_PORTRAITS_SERVER"


def add_blend_arguments(parser: argparse.ArgumentParser, sources: argparse._MutuallyExclusiveGroup) -> None:
    """Adds `--blend` to what a job may be made of, and what goes with it."""
    sources.add_argument("--blend", type=Path, metavar="SCENE.blend",
                         help="a portrait of this scene, as its panel renders it; needs Blender")  # fmt: skip
    parser.add_argument(
        "--portrait", metavar="NAME", help="which portrait, where the scene has several photos or shots"
    )


def write_from_blend(asked: argparse.Namespace) -> int:
    """Has Blender write the job.

    Raises:
        PortraitError: BAD_CONFIGURATION for options that the portrait says itself; FILE_MISSING where there is no such
            scene, or no Blender; SCENE where Blender did not write the job, whose reason it has printed.
    """
    given = [name for name, usual in _OF_THE_PORTRAIT.items() if getattr(asked, name) != usual]
    if given:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"--{given[0].replace('_', '-')} does not go with --blend.",
            "Set it in the portrait's panel in Blender: a job of a scene is rendered as its panel would.",
        )  # fmt: skip
    if not asked.blend.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {asked.blend}.", "Check the path after --blend.")
    words = ["job", os.path.realpath(asked.job), "--blend", os.path.realpath(asked.blend), "--device", asked.device]
    words += [] if asked.portrait is None else [f"--portrait={asked.portrait}"]
    words += [f"--frames={ranges_of(asked.frames)}"] if asked.frames else []
    done = subprocess.run([*_blender(), *words], env={**os.environ, _SERVER_VARIABLE: _own_program()})
    if done.returncode != 0 or not (asked.job / JOB_FILE).is_file():
        raise PortraitError(
            ErrorCode.SCENE, "Blender did not write the job; the lines above say why.",
            "If it does not know the command “portrait”, install the extension of this release in it.",
        )  # fmt: skip
    return 0


def _blender() -> list[str]:
    """What runs the extension's commands: the module bpy of this Python, else the program on the PATH."""
    if all(importlib.util.find_spec(package) is not None for package in ("bpy", "blender_addon")):
        return [sys.executable, "-m", "blender_addon"]
    if (program := shutil.which("blender")) is not None:
        return [program, "--command", "portrait"]
    raise PortraitError(
        ErrorCode.FILE_MISSING, "There is no Blender here: neither the module bpy nor the program `blender`.",
        "Put `blender`, with the extension in it, on the PATH; or press Export Job in Blender, and copy the folder here.",
    )  # fmt: skip


def _own_program() -> str:
    """This very release's command, which is to write the job."""
    beside = shutil.which("portrait", path=os.path.dirname(sys.executable))
    return beside or shlex.join([sys.executable, "-m", "portrait_server"])
