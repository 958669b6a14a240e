# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples/s that one core makes of each corpus, against what the `portrait` networks take in on the same core.

The reference is forward and backward of the generator with a plain pixel loss: a real step does more. The loader is
never the bottleneck where the ratio is above 1 divided by the workers for each training process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch
from portrait_server.corpora.loader import Loader, make_batch
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Corpus
from portrait_server.corpora.videos import TalkingVideos
from portrait_server.networks.configurations import build
from portrait_server.training.batch import Batch
from portrait_server.training.learner import references_of


def seconds_each(act: Callable[[int], object], count: int) -> float:
    """Processor time of one call: other programs on the machine do not count."""
    act(0)
    start = time.process_time()
    for number in range(1, count + 1):
        act(number)
    return (time.process_time() - start) / count


def made(corpus: Corpus, side: int, count: int) -> float:
    """Samples/s of this process."""
    return 1 / seconds_each(lambda number: make_batch(corpus, 1, number, 1, 1, side), count)


def loaded(corpus: Corpus, side: int, workers: int, count: int) -> float:
    """Samples/s through the loader, by the clock."""
    with Loader(corpus, seed=1, batch_size=8, references=1, side=side, workers=workers) as loader:
        for _ in range(2 * workers):
            next(loader)
        start = time.perf_counter()
        for _ in range(max(1, count // 8)):
            next(loader)
        return 8 * max(1, count // 8) / (time.perf_counter() - start)


def taken_in(corpus: Corpus, side: int) -> float:
    """Samples/s of forward and backward."""
    networks = build("portrait", side=side)
    batch = Batch.of(make_batch(corpus, 1, 0, 4, 1, side), torch.device("cpu"))

    def step(_: int) -> None:
        output = networks(references_of(batch), batch.target_points)
        (output.image - batch.target).abs().mean().backward()

    return 4 / seconds_each(step, 3)


def main() -> None:
    # Read where numpy is loaded, so too late for this process: its threads would count as one core's work.
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        sys.exit(subprocess.call([sys.executable, *sys.argv], env={**os.environ, **one}))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portraits", type=Path, help="shards of portraits")
    parser.add_argument("--videos", type=Path, help="shards of videos")
    parser.add_argument("--head", type=Path, help="the ICT-FaceKit head")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--workers", type=int, default=0, help="also time the loader with so many processes")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    corpora: dict[str, Corpus] = {}
    if options.portraits:
        corpora["re-posed portraits"] = ReposedPhotos(options.portraits)
    if options.head:
        corpora["rendered heads"] = RenderedHeads(HeadModel.load(options.head), options.portraits)
    if options.videos:
        corpora["talking videos"] = TalkingVideos(options.videos)
    if not corpora:
        parser.error("name at least one corpus")
    reference = taken_in(next(iter(corpora.values())), options.side)
    print(f"the networks take in {reference:.1f} samples/s of {options.side}x{options.side} on one core")
    for name, corpus in corpora.items():
        rate = made(corpus, options.side, options.samples)
        print(f"{name}: {rate:.1f} samples/s on one core, ratio {rate / reference:.1f}")
        if options.workers:
            print(
                f"  loader, {options.workers} workers: {loaded(corpus, options.side, options.workers, options.samples):.1f}"
            )


if __name__ == "__main__":
    main()
