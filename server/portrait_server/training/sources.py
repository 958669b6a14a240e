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


def open_corpus(choice: CorpusChoice, *, drafts: bool, held_out: bool = False) -> Corpus:
    """One corpus, its samples with drafts or without; of people who are never trained on, if `held_out`.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE where what it reads is not there or damaged.
    """
    if choice.kind == "rendered":
        head = HeadModel.load(choice.path)
        return RenderedHeads(head, choice.photographs, drafts=drafts, detected=choice.detected, held_out=held_out)
    if choice.kind == "reposed":
        return ReposedPhotos(choice.path, drafts=drafts, detected=choice.detected)
    return TalkingVideos(choice.path, drafts=drafts)


def open_mixture(choices: Sequence[CorpusChoice], *, drafts: bool) -> Corpus:
    """Several, drawn by their weights. Raises: as `open_corpus`."""
    if len(choices) == 1:
        return open_corpus(choices[0], drafts=drafts)
    return Mixture([open_corpus(choice, drafts=drafts) for choice in choices], [choice.weight for choice in choices])
