# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the corpora that a configuration names."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Corpus, Mixture
from portrait_server.corpora.videos import TalkingVideos
from portrait_server.training.configuration import CorpusChoice


def open_corpus(choice: CorpusChoice) -> Corpus:
    """One corpus.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE where what it reads is not there or damaged.
    """
    if choice.kind == "rendered":
        return RenderedHeads(HeadModel.load(choice.path), choice.photographs)
    return ReposedPhotos(choice.path) if choice.kind == "reposed" else TalkingVideos(choice.path)


def open_mixture(choices: Sequence[CorpusChoice]) -> Corpus:
    """Several, drawn by their weights. Raises: as `open_corpus`."""
    if len(choices) == 1:
        return open_corpus(choices[0])
    return Mixture([open_corpus(choice) for choice in choices], [choice.weight for choice in choices])
