# SPDX-License-Identifier: GPL-3.0-or-later
"""When each phone is spoken: PocketSphinx with the English model of its wheel, with or without the text.

With the text, its words are aligned to the sound (forced alignment), which is accurate to a few hundredths of a
second. Without, phones are recognised alone (`allphone`): a third of them are wrong, but mostly for others that
look alike on the lips, and it works for languages other than English too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.speech.audio import LOUDNESS_FPS, RATE, loudness
from portrait_server.speech.visemes import SILENCE

_FRAMES_PER_SECOND = 100
_UTTERANCE_SECONDS = 15.0
_CUT_REACH_SECONDS = 4.0
_INAUDIBLE = 0.02
# Letters of a word that the dictionary lacks, the longest first: what an English reader might say.
_LETTERS: Final = {
    "tch": "CH", "sch": "SH", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ng": "NG", "ck": "K", "qu": "K W",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oa": "OW", "ai": "EY", "ay": "EY", "au": "AO",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
_LETTER = re.compile("|".join(_LETTERS))


@dataclass(frozen=True)
class Phone:
    """A phone of the ARPAbet and when it is spoken, seconds."""

    name: str
    start: float
    end: float


def spoken_phones(
    samples: np.ndarray, text: str = "", progress: Callable[[float], None] = lambda share: None
) -> list[Phone]:
    """The phones in order, with the silences between them.

    Args:
        samples: (N,) int16 at `RATE`.
        text: what is said, in English; empty to recognise the phones.
        progress: told the share done, 0 to 1.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where PocketSphinx is not installed; BAD_CONFIGURATION where the text does
            not fit the sound.
    """
    phones = _aligned(samples, text) if text.strip() else _recognised(samples, progress)
    progress(1.0)
    return phones


def _recognised(samples: np.ndarray, progress: Callable[[float], None]) -> list[Phone]:
    sphinx = _pocketsphinx()
    decoder = sphinx.Decoder(
        allphone=sphinx.get_model_path("en-us/en-us-phone.lm.bin"), lm=None, lw=2.0, beam=1e-20, pbeam=1e-20,
        loglevel="FATAL",
    )  # fmt: skip
    phones: list[Phone] = []
    loud = loudness(samples)
    cuts = utterance_cuts(samples)
    for first, last in itertools.pairwise(cuts):
        decoder.start_utt()
        decoder.process_raw(samples[first:last].tobytes(), full_utt=True)
        decoder.end_utt()
        origin = first / RATE
        phones += [
            _phone(s.word, origin + s.start_frame / _FRAMES_PER_SECOND, origin + (s.end_frame + 1) / _FRAMES_PER_SECOND)
            for s in decoder.seg() or ()
        ]
        progress(last / len(samples))
    return [phone if _heard(phone, loud) else replace(phone, name=SILENCE) for phone in phones]


def _heard(phone: Phone, loud: np.ndarray) -> bool:
    """The recogniser finds phones even where there is no sound at all."""
    part = loud[int(phone.start * LOUDNESS_FPS) : int(phone.end * LOUDNESS_FPS) + 1]
    return bool(part.max(initial=0.0) > _INAUDIBLE)


def _aligned(samples: np.ndarray, text: str) -> list[Phone]:
    # Wide beams: a word said otherwise than the dictionary thinks must not end the search.
    beams = dict.fromkeys(("beam", "pbeam", "wbeam"), 1e-100)
    decoder = _pocketsphinx().Decoder(lm=None, bestpath=False, loglevel="FATAL", **beams)
    words = re.findall(r"[a-z']+", text.lower().replace("’", "'"))
    if not words:
        raise _misfit("has no words in it")
    for word in dict.fromkeys(words):
        if decoder.lookup_word(word) is None:
            letters = [_LETTERS[part] for part in _LETTER.findall(word)]
            decoder.add_word(word, " ".join(letters) or "AH", True)
    try:
        decoder.set_align_text(" ".join(words))
        _hear(decoder, samples)
        if decoder.hyp() is None:
            raise _misfit("is not what the sound says")
        decoder.set_alignment()
        _hear(decoder, samples)
        alignment = decoder.get_alignment()
    except RuntimeError as error:
        raise _misfit("is not what the sound says") from error
    if alignment is None:
        raise _misfit("is not what the sound says")
    return [
        _phone(phone.name, phone.start / _FRAMES_PER_SECOND, (phone.start + phone.duration) / _FRAMES_PER_SECOND)
        for word in alignment
        for phone in word
    ]


def utterance_cuts(samples: np.ndarray) -> list[int]:
    """Where long speech is cut into utterances of a quarter of a minute: in its quietest moments.

    Returns:
        Sample numbers, from 0 to the end.
    """
    quiet, cuts = loudness(samples), [0]
    step = RATE // LOUDNESS_FPS
    while len(samples) - cuts[-1] > (_UTTERANCE_SECONDS + _CUT_REACH_SECONDS) * RATE:
        low = (cuts[-1] + round((_UTTERANCE_SECONDS - _CUT_REACH_SECONDS) * RATE)) // step
        high = (cuts[-1] + round((_UTTERANCE_SECONDS + _CUT_REACH_SECONDS) * RATE)) // step
        cuts.append((low + int(np.argmin(quiet[low:high]))) * step)
    return [*cuts, len(samples)]


def _hear(decoder: Any, samples: np.ndarray) -> None:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()


def _phone(name: str, start: float, end: float) -> Phone:
    return Phone(name if name.isalpha() and name != "SIL" else SILENCE, start, end)


def _pocketsphinx() -> Any:
    try:
        import pocketsphinx
    except ImportError as error:
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE,
            "PocketSphinx, which hears the phones of speech, is not installed.",
            "Install it beside the server: pip install 'talking-portraits[speech]'.",
        ) from error
    return pocketsphinx


def _misfit(why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION, f"The text {why}.", "Give the words that are spoken, in English, or no text."
    )
