#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The held-out errors of training runs as a picture, each as a share of its first value.

`python -m tests.looks.training_curve RUN [RUN …] --output CURVE.png`

A RUN is a run's folder with its `log.jsonl`; runs stand one below another, held-out sets side by side.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib  # mediapipe brings it
import matplotlib.pyplot as plt

COLUMNS = ("picture", "face", "mouth", "eyes")


def held_out(run: Path) -> dict[str, list[dict[str, float]]]:
    """Measurements by held-out set, in the order of their steps."""
    found: dict[str, list[dict[str, float]]] = {}
    for line in (run / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"].startswith("held_out_"):
            found.setdefault(event["event"].removeprefix("held_out_"), []).append(event)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    matplotlib.use("Agg")
    measured = [held_out(run) for run in asked.runs]
    sets = list(measured[0])
    figure, axes = plt.subplots(
        len(measured), len(sets), figsize=(5 * len(sets), 3 * len(measured)), squeeze=False, layout="constrained"
    )
    for run, row, found in zip(asked.runs, axes, measured, strict=True):
        for axis, name in zip(row, sets, strict=True):
            events = found[name]
            for column in COLUMNS:
                axis.plot([e["step"] for e in events], [e[column] / events[0][column] for e in events], label=column)
            axis.set(title=f"{run.name}: {name}", xlabel="step", ylabel="error, share of the first")
            axis.grid(alpha=0.3)
    axes[0][0].legend()
    figure.savefig(asked.output, dpi=80)


if __name__ == "__main__":
    main()
