# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait demo`: the whole path on a real photograph, in Blender without a window and a server of its own."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole
from portrait_shared.frames.frame_files import prepare_folder

from portrait_server.commands.arguments import add_device
from portrait_server.media.contact_sheet import contact_sheet
from portrait_server.media.movie import Movie, MovieFrame

_SHEET_CELLS = 24
_FRAMES = "Frames: "  # how `blender_addon.demo` begins the line that names their folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder for the results (default: demo)"
    )
    parser.add_argument(
        "--photo", type=Path, help="a photo of your own (default: the astronaut that scikit-image ships)"
    )
    parser.add_argument(
        "--engine", default="fewshot", metavar="NAME", help="what draws the frames: fewshot, warp (default: fewshot)"
    )
    add_device(parser, "draws")


def run(asked: argparse.Namespace) -> int:
    folder = Path(os.path.realpath(asked.output))
    prepare_folder(folder)
    photo = Path(os.path.realpath(asked.photo)) if asked.photo else _astronaut(folder)
    for package, holder in (("bpy", "the Blender module"), ("blender_addon", "the extension's source")):
        if importlib.util.find_spec(package) is None:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"{holder[0].upper()}{holder[1:]} is not installed.",
                "Run `python3.11 server/set_up.py install` in the project's folder.",
            )  # fmt: skip
    blend = folder / "demo.blend"
    command = [sys.executable, "-m", "blender_addon.demo", "--photo", str(photo), "--blend", str(blend),
               "--engine", asked.engine, "--device", asked.device]  # fmt: skip
    folder_of_frames = _frames_of(command)
    if folder_of_frames is None:
        raise PortraitError(ErrorCode.INTERNAL, "The demo did not finish; the lines above say why.",
                            "Run `portrait doctor`, which names what is missing.")  # fmt: skip
    frames = sorted(folder_of_frames.glob("*.png"))
    movie, sheet = folder / "demo.mp4", folder / "contact_sheet.png"
    Movie([MovieFrame.of_file(frame) for frame in frames], Fraction(24)).write(movie)
    cells = contact_sheet([frames[i] for i in np.linspace(0, len(frames) - 1, _SHEET_CELLS).round().astype(int)])
    write_whole(sheet, cv2.imencode(".png", cells[..., ::-1])[1].tobytes())
    for what, path in (("Scene", blend), ("Frames", folder_of_frames), ("Movie", movie), ("Contact sheet", sheet)):
        print(f"{what}: {path}")
    return 0


def _frames_of(command: list[str]) -> Path | None:
    """The folder that the demo's process says its frames are in, what else it says being passed on; None if it failed."""
    found = None
    # The folder comes back as the very bytes that it has on the disk, whatever the terminal can spell.
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:surrogateescape"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="surrogateescape", env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_FRAMES):
                found = Path(line.removeprefix(_FRAMES).strip())
            else:
                print(line, end="", flush=True)
    return found if process.returncode == 0 else None


def _astronaut(folder: Path) -> Path:
    """Eileen Collins by NASA, public domain, as scikit-image ships it."""
    import skimage.data

    photo = folder / "astronaut.png"
    if not os.path.exists(photo):
        write_whole(photo, cv2.imencode(".png", skimage.data.astronaut()[..., ::-1])[1].tobytes())
    return photo
