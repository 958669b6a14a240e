#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The held-out errors of painters while they learn, as a picture: each as a share of the draft's.

`python -m tests.looks.training_curve RUN [RUN …] --output CURVE.png`

A RUN is a run's folder with its `log.jsonl`; painters stand one below another, held-out corpora side by side.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import matplotlib  # mediapipe brings it
import matplotlib.pyplot as plt

COLUMNS = ("middle", "opening", "rim", "perceptual", "sharp")

Figures = dict[str, dict[str, list[tuple[int, dict[str, float]]]]]


def held_out(runs: list[Path]) -> Figures:
    """By painter and corpus, in the order of their steps: of each column the painter's against the draft's; of `sharp`,
    which is a share already, the painter's."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    for line in (line for run in runs for line in (run / "log.jsonl").read_text("utf-8").splitlines()):
        event = json.loads(line)
        painter, held, corpus = event["event"].partition("_held_out_")
        if held:
            shares = {name: event[f"painter_{name}"] / event[f"draft_{name}"] for name in COLUMNS[:-1]}
            found[painter][corpus].append((event["step"], shares | {"sharp": event["painter_sharp"]}))
    return found


def main() -> None:
    """Draws them."""
    matplotlib.use("Agg")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    found = held_out(options.runs)
    across = max(map(len, found.values()))
    figure, axes = plt.subplots(
        len(found), across, figsize=(3.2 * across, 2.8 * len(found)), squeeze=False, sharey=True
    )
    for row, (painter, corpora) in zip(axes, found.items(), strict=True):
        for axis in row[len(corpora) :]:
            axis.set_visible(False)
        for axis, (corpus, measured) in zip(row, corpora.items(), strict=False):
            steps = [step for step, _ in sorted(measured, key=lambda one: one[0])]
            for name in COLUMNS:
                values = [shares[name] for _, shares in sorted(measured, key=lambda one: one[0])]
                axis.plot(steps, values, label=name, linestyle="--" if name == "sharp" else "-")
            axis.set_title(f"{painter}, {corpus}", fontsize=9)
            axis.axhline(1, color="black", linewidth=0.6)
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    figure.supxlabel("steps", fontsize=9)
    figure.supylabel("against the draft", fontsize=9)
    figure.tight_layout()
    figure.savefig(options.output, dpi=80)


if __name__ == "__main__":
    main()
