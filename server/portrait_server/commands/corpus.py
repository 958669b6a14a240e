# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait corpus build`: a folder of portraits or of talking videos to shards that training reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from portrait_server.corpora.build import Source, build
from portrait_server.corpora.photos import Photos
from portrait_server.corpora.videos import Videos

_KINDS: dict[str, tuple[type[Source], str]] = {
    "photos": (Photos, "portraits, one person each, in any folders"),
    "videos": (Videos, "talking videos as in VoxCeleb: PERSON/VIDEO/CLIP.mp4"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    making = actions.add_parser("build", help="find the faces of a folder and store them for training")
    kinds = making.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, (_, summary) in _KINDS.items():
        kind = kinds.add_parser(name, help=summary, description=f"Makes a corpus of {summary}.")
        kind.add_argument("folder", type=Path, metavar="FOLDER", help="what is read")
        kind.add_argument(
            "--output", type=Path, required=True, metavar="DIR", help="where the shards go; run again to go on"
        )


def run(args: argparse.Namespace) -> int:
    """Makes what is missing and says how much there is.

    Raises:
        PortraitError: FILE_MISSING, OUTPUT_NOT_WRITABLE, BAD_IMAGE for a damaged shard.
    """
    source, _ = _KINDS[args.kind]
    built = build(source(args.folder), args.output)
    print(f"{built.faces} faces of {built.sources} files. Saved: {args.output}")
    if built.skipped:
        print(f"{len(built.skipped)} files were left out, for example:")
        for name, reason in list(built.skipped.items())[:5]:
            print(f"  {name}: {reason}")
    return 0
