# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait corpus build`: pictures of people to shards of faces. `portrait corpus crops`: shards to what painters learn from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portrait_server.commands.arguments import whole_number
from portrait_server.commands.logs import add_log_format
from portrait_server.corpora.build import Source, build
from portrait_server.corpora.photos import Photos
from portrait_server.corpora.sample import Corpus
from portrait_server.corpora.videos import Videos

_KINDS: dict[str, tuple[type[Source], str]] = {
    "photos": (Photos, "portraits, one person each, in any folders"),
    "videos": (Videos, "talking videos as in VoxCeleb: PERSON/VIDEO/CLIP.mp4"),
}
_MOST_PAIRS, _MOST_REFERENCES, _SIDES, _MOST_SEED = 10**7, 32, (64, 2048), 2**32 - 1


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
        add_log_format(kind)
    _add_crops(actions.add_parser("crops", help="cut mouths and eyes out of a corpus, for painters to learn from"))


def _add_crops(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, (_, summary) in _CROPS.items():
        kind = kinds.add_parser(name, help=summary, description=f"Makes pairs of crops: {summary}.")
        add_log_format(kind)
        kind.add_argument("corpus", type=Path, metavar="SHARDS" if name != "heads" else "MODEL", help="what is read")
        if name == "heads":
            kind.add_argument(
                "--photographs", type=Path, metavar="SHARDS", help="portraits whose skin and backgrounds they take"
            )
            kind.add_argument("--hairs", type=Path, metavar="FOLDER", help="MakeHuman's meshes, which they then wear")
            kind.add_argument("--panoramas", type=Path, metavar="FOLDER", help="Radiance files (.hdr) that light them")
            kind.add_argument("--held-out", action="store_true", help="other heads, none of whom is drawn without it")
        kind.add_argument("--output", type=Path, required=True, metavar="DIR", help="where they go; run again for more")
        kind.add_argument(
            "--count", type=whole_number(1, _MOST_PAIRS, "a number of pairs"), required=True, metavar="N",
            help="how many pairs there shall be",
        )  # fmt: skip
        kind.add_argument(
            "--references", type=whole_number(1, _MOST_REFERENCES, "1 to 32"), default=1, metavar="K",
            help="pictures of the person in each (default: 1)",
        )  # fmt: skip
        kind.add_argument(
            "--side", type=whole_number(*_SIDES, "64 to 2048 pixels"), default=256, metavar="PIXELS",
            help="of the faces that they are cut out of; as sharp as the pictures are (default: 256)",
        )  # fmt: skip
        kind.add_argument("--seed", type=whole_number(0, _MOST_SEED, "a number"), default=1, metavar="N")


def run(args: argparse.Namespace) -> int:
    """Makes what is missing and says how much there is.

    Raises:
        PortraitError: FILE_MISSING, OUTPUT_NOT_WRITABLE, DISK_FULL, BAD_IMAGE for a damaged shard.
    """
    return _cut_crops(args) if args.action == "crops" else _build(args)


def _build(args: argparse.Namespace) -> int:
    source, _ = _KINDS[args.kind]
    built = build(source(args.folder), args.output)
    print(f"{built.faces} faces of {built.sources} files. Saved: {args.output}")
    if built.skipped:
        print(f"{len(built.skipped)} files were left out, for example:")
        for name, reason in list(built.skipped.items())[:5]:
            print(f"  {name}: {reason}")
    return 0


def _cut_crops(args: argparse.Namespace) -> int:
    from portrait_server.corpora.crops import make_crops

    make, _ = _CROPS[args.kind]
    count = make_crops(make(args), args.output, args.count, args.references, args.side, args.seed)
    print(f"{count} pairs of mouths and eyes. Saved: {args.output}")
    if count < args.count:
        print("There are no more different ones.")
    return 0


def _videos(args: Any) -> Corpus:
    from portrait_server.corpora.videos import TalkingVideos

    return TalkingVideos(args.corpus, augmented=False)


def _clips(args: Any) -> Corpus:
    from portrait_server.corpora.videos import TalkingVideos

    return TalkingVideos(args.corpus, augmented=False, clips=True)


def _pairs(args: Any) -> Corpus:
    from portrait_server.corpora.reposed_pairs import ReposedPairs

    return ReposedPairs(args.corpus, augmented=False, detected=True)


def _photos(args: Any) -> Corpus:
    from portrait_server.corpora.reposed import ReposedPhotos

    return ReposedPhotos(args.corpus, augmented=False, detected=True)


def _heads(args: Any) -> Corpus:
    from portrait_server.corpora.rendered.head_model import HeadModel
    from portrait_server.corpora.rendered.heads import RenderedHeads

    model = HeadModel.load(args.corpus)
    return RenderedHeads(
        model, args.photographs, hairs=args.hairs, panoramas=args.panoramas, augmented=False, detected=True,
        held_out=args.held_out,
    )  # fmt: skip


_CROPS: dict[str, tuple[Callable[[Any], Corpus], str]] = {
    "videos": (_videos, "two moments of one person, of shards of videos, or of several photographs of each person"),
    "clips": (_clips, "two moments of one clip, in one light, as films have them"),
    "pairs": (_pairs, "one photograph of a person from another that has been re-posed"),
    "photos": (_photos, "a photograph from copies of itself that have been re-posed"),
    "heads": (_heads, "rendered heads"),
}
