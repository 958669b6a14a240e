# SPDX-License-Identifier: GPL-3.0-or-later
"""The `portrait` command: one subcommand a module, each with `add_arguments` and `run`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from portrait_shared import __version__
from portrait_shared.errors import SYSTEM_REMEDY, PortraitError, system_refusal
from portrait_shared.frames.frame_numbers import joined
from portrait_shared.terminal import every_interrupt_heard, forgiving_output

from portrait_server.commands.logs import add_log_format, in_json, log_in_json, tell_failure
from portrait_server.networks.device_errors import device_error

STATUS_FAILED: Final = 1
"""What was asked for is not all there; standard error says why and what to do."""
STATUS_INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells count it: 128 and the signal's number."""

# Modules are imported only for the command that runs: `portrait --help` must not load a neural network.
_COMMANDS = {
    "render": "render frames from a photo and a landmark track",
    "landmarks": "find the 70 landmarks of a photo or of each frame of a video",
    "job": "write, render and verify jobs for render farms",
    "camera": "find a face live in a camera's pictures, or list the cameras",
    "controls": "tell what is moved on MIDI and game controllers, or list them",
    "air": "send pictures live to a virtual camera or to NDI",
    "consent": "write down on what ground a person is animated",
    "recognise": "find out whether frames show the person of their references",
    "shot-frame": "write one frame of a filmed shot as a picture",
    "movie": "make a movie of rendered frames, with sound and timecode",
    "verify": "tell what made pictures and films, from what, and whether they have been altered since",
    "sign": "sign frames, pictures and movies made of them: Content Credentials",
    "otio": "exchange edits with other programs by OpenTimelineIO",
    "visemes": "hear speech and write timed mouth shapes",
    "serve": "run the server that Blender and other programs connect to",
    "demo": "animate a real portrait in Blender without a window, and show the result",
    "adapt": "tune the painters of mouth and eyes to a person, from 1 to 32 photos",
    "evaluate": "judge an engine on real clips: errors, identity, flicker, speed",
    "corpus": "make a training corpus from portraits or talking videos",
    "train": "train the painters of mouth and eyes",
    "bundle": "make a folder by which the server is installed on a machine without network",
    "doctor": "check this machine and say what is missing",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the process's exit status."""
    with forgiving_output(), every_interrupt_heard():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    arguments = joined(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="portrait", description="Brings a portrait to life.")
    parser.add_argument("--version", action="version", version=f"Talking Portraits {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in arguments if word in _COMMANDS), None)
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            implementation = importlib.import_module(f"portrait_server.commands.{name.replace('-', '_')}")
            implementation.add_arguments(command)
            add_log_format(command)
            command.set_defaults(run=implementation.run)
    asked = parser.parse_args(arguments)
    if in_json(asked):
        log_in_json()
    try:
        return asked.run(asked)
    except PortraitError as error:
        return _failed(asked, error)
    except OSError as error:  # the system's own refusals, of which every path and disk has some
        tell_failure(asked, system_refusal(error), SYSTEM_REMEDY)
        return STATUS_FAILED
    except KeyboardInterrupt:
        tell_failure(asked, "interrupted")
        return STATUS_INTERRUPTED
    except RuntimeError as error:
        if (of_device := device_error(error)) is None:
            raise
        return _failed(asked, of_device)


def _failed(asked: argparse.Namespace, error: PortraitError) -> int:
    tell_failure(asked, error.message, error.remedy, error.code)
    return STATUS_FAILED


if __name__ == "__main__":
    sys.exit(main())
