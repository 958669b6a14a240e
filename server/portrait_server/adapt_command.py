# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait adapt PHOTOS… --output NAME`: tunes the networks to one person."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tqdm import tqdm

from portrait_server.device import DEVICES, resolve_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO", help="1 to 32 photographs of one person")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="NAME", help="the personal file; .safetensors is added"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="the networks to tune (default: those that fewshot draws with)"
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="the training run that made the weights: tune against its discriminator too, as the paper does",
    )
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="where to tune (default: a GPU if there is one)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Tunes and writes the file; returns the exit status."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in train_command
    from portrait_server.corpora.build import cut
    from portrait_server.detectors.registry import create_detector
    from portrait_server.detectors.selection import select_face
    from portrait_server.engines.fewshot_weights import find_weights
    from portrait_server.images import opaque, read_image
    from portrait_server.networks import weights_file
    from portrait_server.networks.personal import save_personal
    from portrait_server.training.adaptation import adapt
    from portrait_server.training.checkpoints import newest_discriminator

    networks, info = weights_file.load(arguments.weights or find_weights(), resolve_device(arguments.device))
    judge = newest_discriminator(arguments.run, networks) if arguments.run else None
    detector = create_detector("mediapipe")
    bar = tqdm(total=None, unit="step", disable=None)
    try:
        faces = []
        for photo in arguments.photos:
            image = opaque(read_image(photo))
            faces.append(cut(image, select_face(detector.detect(image), None, photo.name)))

        def progress(step: int, steps: int, figures: dict[str, float]) -> None:
            bar.total, bar.n = steps, step
            bar.set_postfix(score=f"{figures['score']:.4f}", landmarks=f"{figures['landmarks']:.4f}")

        tuned = adapt(networks, info.checksum, faces, detector, discriminator=judge, progress=progress)
    finally:
        bar.close()
        detector.close()
    path = arguments.output.with_name(f"{arguments.output.name.removesuffix('.safetensors')}.safetensors")
    save_personal(path, tuned.personal)
    for name, before in tuned.before.items():
        print(f"{name:10} {before:8.4f} -> {tuned.after[name]:8.4f}")
    print(
        f"{path}: {f'tuned in {tuned.step} steps' if tuned.kept else 'nothing was better than the networks as they are'}"
    )
    return 0
