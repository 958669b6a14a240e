# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait adapt PHOTOS… --output NAME`: tunes the painters to one person."""

from __future__ import annotations

import argparse
from pathlib import Path

from portrait_shared.files.whole_files import check_place, write_error
from portrait_shared.frames.frame_files import prepare_folder
from tqdm import tqdm

from portrait_server.commands.arguments import add_device
from portrait_server.networks.device import resolve_device
from portrait_server.tuning.process import use_half_the_cores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "photos",
        type=Path,
        nargs="+",
        metavar="PHOTO",
        help="1 to 32 photographs of one person, whose face is the largest in each; from two on, at least one and one in "
        "five only judge",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="NAME",
        help="the personal file, for `portrait render --personal`; .safetensors is added",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="the painters to tune (default: those that fewshot draws with)"
    )
    add_device(parser, "tunes")


def run(arguments: argparse.Namespace) -> int:
    """Tunes and writes the file; returns the exit status."""
    use_half_the_cores()
    from portrait_server.detectors.registry import create_detector
    from portrait_server.engines.fewshot_weights import find_weights
    from portrait_server.media.images import read_image
    from portrait_server.networks.painters import load
    from portrait_server.tuning.photographs import faces_of
    from portrait_server.tuning.search import tune_painters

    name = arguments.output.name.removesuffix(".safetensors")
    path = arguments.output.with_name(f"{name}.safetensors")
    prepare_folder(path.parent)  # an output that cannot be written is better known before minutes of work
    try:
        check_place(path)
    except OSError as error:
        raise write_error(path, error) from error
    painters, info = load(arguments.weights or find_weights(), resolve_device(arguments.device))
    detector = create_detector("mediapipe")
    bar = tqdm(total=None, unit="step", desc="Tuning", disable=None)
    try:
        faces = faces_of(((photo.name, read_image(photo)) for photo in arguments.photos), detector)

        def progress(step: int, steps: int, figures: dict[str, float]) -> None:
            bar.total, bar.n = steps, step
            bar.set_postfix(score=f"{figures['score']:.4f}")

        tuned = tune_painters(painters, info.checksum, faces, progress=progress)
    finally:
        bar.close()
        detector.close()
    tuned.personal.save(path)
    for figure, before in tuned.before.items():
        print(f"{figure:13} {before:8.4f} -> {tuned.after[figure]:8.4f}")
    print(f"Tuned in {tuned.step} steps." if tuned.kept else "Nothing was surely better than the painters as they are.")
    print(f"Saved: {path}")
    return 0
