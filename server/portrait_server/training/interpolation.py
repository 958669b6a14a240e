# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights between those of two runs: `python -m portrait_server.training.interpolation FROM TO SHARE OUTPUT`.

As Wang et al. do in ESRGAN (ECCVW 2018): FROM has learnt without a discriminator, and blurs; TO went on from it with
one, and is sharp but invents detail; between them lies what is sharper than the one and truer than the other.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.terminal import forgiving_output

from portrait_server.networks.weights_file import WeightsInfo, load, save


def interpolate(start: Path, end: Path, share: float, output: Path) -> WeightsInfo:
    """Writes (1 − share) start + share end, in half precision, with the step of `end`.

    Raises:
        PortraitError: BAD_WEIGHTS for a damaged file and for weights of two configurations or licences;
            BAD_CONFIGURATION for a share outside 0 to 1; and what `weights_file.save` raises.
    """
    if not 0 <= share <= 1:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"A share of {share} lies outside 0 to 1.", "0 is all of the first file."
        )
    networks, first = load(start)
    others, last = load(end)
    if first.configuration != last.configuration or first.licence != last.licence:
        raise PortraitError(
            ErrorCode.BAD_WEIGHTS, f"{start} and {end} are of different networks, or under different licences.",
            "Take two checkpoints of one run, or of one that went on from the other.",
        )  # fmt: skip
    theirs = others.state_dict()
    with torch.no_grad():
        for name, tensor in networks.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(theirs[name], share)
    return save(output, networks, step=last.step, licence=last.licence, half=True)


def main() -> int:
    with forgiving_output():
        return _run()


def _run() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("end", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    try:
        info = interpolate(asked.start, asked.end, asked.share, asked.output)
    except PortraitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Saved: {asked.output} ({info.checksum[:16]})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
