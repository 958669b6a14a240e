# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait train CONFIG --crops DIR --output DIR`: trains painters of mouths and eyes as a configuration file says."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from portrait_server.commands.arguments import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("configuration", type=Path, metavar="CONFIG", help="a TOML file, or the name of one that ships")
    parser.add_argument(
        "--crops", type=Path, required=True, metavar="DIR",
        help="where the folders NAME-train and NAME-held are that `portrait corpus crops` made",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints and figures")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="stop after so long, with a checkpoint to go on from"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in DIR")
    add_device(parser, "trains")


def run(arguments: argparse.Namespace) -> int:
    """Trains; returns the exit status. Ctrl-C and SIGTERM end the run with a checkpoint."""
    # Before torch is loaded: threads that spin for one another starve whatever else runs on the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from portrait_server.networks.device import resolve_device, torch_device
    from portrait_server.training.configuration import load
    from portrait_server.training.trainer import WEIGHTS, Trainer

    told = load(arguments.configuration)
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: asked.append(caught))
    device = torch_device(resolve_device(arguments.device))
    trainer = Trainer(told, arguments.crops, arguments.output, device, resume=arguments.resume)
    trainer.run(arguments.minutes, stop=lambda: bool(asked))
    for name, steps in trainer.steps.items():
        score, step = trainer.best[name]
        print(f"{name}: {steps} of {told.painters[name].steps} steps, best held-out score {score:.3f} at step {step}.")
    print(f"{trainer.seconds / 60:.1f} minutes. Weights: {arguments.output / WEIGHTS}")
    return 0
