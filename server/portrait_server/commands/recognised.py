# SPDX-License-Identifier: GPL-3.0-or-later
"""`--recognised SHARE`: whether rendered frames show the person of their references, for every command that renders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from portrait_shared.frames.frame_numbers import ranges_of
from portrait_shared.frames.identity import Identity, Verdict
from portrait_shared.track import LandmarkTrack

from portrait_server.commands.arguments import tell_progress
from portrait_server.commands.logs import tell_failure, tell_note
from portrait_server.farm.frame_request import FrameRequest

STATUS_NOT_RECOGNISED: Final = 3


def add_recognised(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recognised", type=_share, metavar="SHARE",
                        help="find out whether each frame shows the person of the references, into identity.json beside the "
                             "frames; status 3 where fewer than this share of them does, such as 0.9")  # fmt: skip


def find_and_tell(
    asked: argparse.Namespace, request: FrameRequest, folder: Path, frames: Collection[int], *, prefix: str = "",
    points: Sequence[LandmarkTrack] = (),
) -> int:  # fmt: skip
    """Looks at frames, says on standard error what was found, and gives the exit status.

    Args:
        asked: with the options of `add_recognised` and `--progress`.
        points: as `farm.identity.find_identity` takes them, as all else.

    Raises:
        PortraitError: as `find_identity`.
    """
    # Only now: what asks nothing of this needs no detector in its process.
    from portrait_server.farm.identity import find_identity

    found = find_identity(
        request, folder, frames, prefix=prefix, points=points, progress=tell_progress if asked.progress else _silent
    )
    print(found.in_words, file=sys.stderr, flush=True)
    if missing := sorted(set(frames).difference(found.frames)):
        tell_note(asked, f"{len(missing)} of the frames are not there: {ranges_of(missing)}.")
    if asked.recognised is None or found.share >= asked.recognised:
        return 0
    tell_failure(
        asked,
        f"The person is recognised in {found.share:.1%} of the frames, not in {asked.recognised:.1%}.",
        _remedy(found),
    )
    return STATUS_NOT_RECOGNISED


def _silent(done: int, total: int) -> None:
    pass


def _remedy(found: Identity) -> str:
    if not found.counts[Verdict.NOT_RECOGNISED]:
        return "Look at the frames yourself: of paintings, drawings and heads turned far away it cannot be told."
    return "Another photo, less motion, or an engine tuned to the person (portrait adapt) may help."


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("a share from 0 to 1 is needed, such as 0.9")
    return share
