# SPDX-License-Identifier: GPL-3.0-or-later
"""What an evaluation found: a table for the eye, figures for programs, a sheet of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

FORMAT = 1
COLUMNS = ("l1", "face", "mouth", "eyes", "ssim", "psnr", "id", "lmk", "flicker", "fps")
_DECIMALS = {"psnr": 2, "lmk": 2, "fps": 1}
_TITLES = {"self": "Self-reenactment", "cross": "Cross-identity reenactment"}
_TRIALS = tuple(_TITLES)


@dataclass(frozen=True)
class Row:
    """Figures of one clip.

    Attributes:
        trial: ``self`` or ``cross``.
        clip: whose picture moved.
        driver: whose motion it was; the clip itself for ``self``.
        references: how many.
        tuned: with personal tuning, or feed-forward.
        frames: how many were scored.
        figures: some of `COLUMNS`.
    """

    trial: str
    clip: str
    driver: str
    references: int
    tuned: bool
    frames: int
    figures: Mapping[str, float]


def means(rows: Sequence[Row]) -> list[Row]:
    """One row for each trial, number of references and way of tuning: each clip counts the same."""
    result = []
    for (trial, references, tuned), group in groupby(sorted(rows, key=_kind), key=_kind):
        kept = list(group)
        figures = {c: float(np.mean([row.figures[c] for row in kept])) for c in COLUMNS if c in kept[0].figures}
        result.append(Row(_TRIALS[trial], "mean", "mean", references, tuned, sum(row.frames for row in kept), figures))
    return result


def _kind(row: Row) -> tuple[int, int, bool]:
    return _TRIALS.index(row.trial), row.references, row.tuned


def table(rows: Sequence[Row]) -> str:
    """Rows and their means as text."""
    lines = []
    for trial, title in _TITLES.items():
        kept = [row for row in rows if row.trial == trial]
        if not kept:
            continue
        columns = [column for column in COLUMNS if column in kept[0].figures]
        shown = [*kept, *means(kept)]
        wide = max(len(title), *(len(_name(row)) for row in shown))
        heading = f"{title:{wide}}  {'refs':>4} {'':12} {'frames':>6}" + "".join(f"{c:>9}" for c in columns)
        lines += [heading, "-" * len(heading)]
        lines += [
            f"{_name(row):{wide}}  {row.references:4} {_way(row):12} {row.frames:6}"
            + "".join(f"{row.figures[c]:9.{_DECIMALS.get(c, 4)}f}" for c in columns)
            for row in shown
        ]
        lines.append("")
    return "\n".join(lines)


def figures_file(rows: Sequence[Row], about: Mapping[str, Any], left_out: Mapping[str, str]) -> bytes:
    """The JSON file: `about` the run, why columns were left out, every row and the means."""
    content = {
        "format": FORMAT,
        **about,
        "left_out": dict(left_out),
        "clips": [_plain(row) for row in rows],
        "means": [_plain(row) for row in means(rows)],
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="backslashreplace")


def _name(row: Row) -> str:
    return row.clip if row.driver == row.clip else f"{row.clip} driven by {row.driver}"


def _way(row: Row) -> str:
    return "tuned" if row.tuned else "feed-forward"


def _plain(row: Row) -> dict[str, Any]:
    return asdict(row)
