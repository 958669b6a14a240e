# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of one core's work for a pair of crops of each corpus: `portrait corpus crops` makes them once, before training.

A step of training is measured by `gpu.py --sections training`, on processors too.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from portrait_server.corpora.crops import cut_out
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Corpus
from portrait_server.corpora.videos import TalkingVideos
from portrait_server.geometry.crops import CROPS


def seconds_each(corpus: Corpus, side: int, count: int) -> float:
    """Processor time of one pair: other programs on the machine do not count."""
    rng = np.random.default_rng(1)
    corpus.sample(rng, 1, side)
    start = time.process_time()
    for _ in range(count):
        sample = corpus.sample(rng, 1, side)
        for crop in CROPS.values():
            cut_out(crop, sample)
    return (time.process_time() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portraits", type=Path, help="shards of portraits")
    parser.add_argument("--videos", type=Path, help="shards of videos")
    parser.add_argument("--head", type=Path, help="the ICT-FaceKit head")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=40)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    corpora: dict[str, Corpus] = {}
    if options.portraits:
        corpora["re-posed portraits"] = ReposedPhotos(options.portraits, detected=True)
    if options.head:
        corpora["rendered heads"] = RenderedHeads(HeadModel.load(options.head), options.portraits, detected=True)
    if options.videos:
        corpora["talking videos"] = TalkingVideos(options.videos)
    if not corpora:
        parser.error("name at least one corpus")
    for name, corpus in corpora.items():
        print(f"{name}: {seconds_each(corpus, options.side, options.pairs):.2f} s a pair on one core")


if __name__ == "__main__":
    main()
