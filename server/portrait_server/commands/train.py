# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait train CONFIG --output DIR`: trains networks as a configuration file says."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from portrait_server.commands.arguments import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("configuration", type=Path, metavar="CONFIG", help="a TOML file, or the name of one that ships")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints and figures")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="stop after so long, with a checkpoint to go on from"
    )
    add_device(parser, "trains")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in DIR")
    begin.add_argument(
        "--from", dest="weights", type=Path, metavar="WEIGHTS", help="begin with these weights, at step 0"
    )


def run(arguments: argparse.Namespace) -> int:
    """Trains; returns the exit status. Ctrl-C and SIGTERM end the run with a checkpoint."""
    # Before torch is loaded: threads that spin for one another starve whatever else runs on the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from portrait_server.training.configuration_file import load
    from portrait_server.training.team import Team
    from portrait_server.training.trainer import Trainer

    configuration = load(arguments.configuration)
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: asked.append(caught))
    team = Team(arguments.device)
    try:
        trainer = Trainer(configuration, arguments.output, team, resume=arguments.resume, weights=arguments.weights)
        progress = trainer.run(arguments.minutes, stop=lambda: bool(asked))
    finally:
        team.close()
    if team.rank == 0:
        best = "" if progress.best is None else f", best held-out score {progress.best:.4f}"
        print(f"{progress.step} of {configuration.steps} steps in {progress.seconds / 60:.1f} minutes{best}.")
        print(f"Weights: {arguments.output / 'best.safetensors'}")
    return 0
