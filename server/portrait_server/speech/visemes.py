# SPDX-License-Identifier: GPL-3.0-or-later
"""The 15 visemes of the MPEG-4 and Oculus sets, and which of them each phone of the ARPAbet looks like."""

from __future__ import annotations

from typing import Final

SILENCE: Final = "sil"

_PHONES: Final = {
    "sil": "SIL",
    "PP": "P B M",
    "FF": "F V",
    "TH": "TH DH",
    "DD": "T D",
    "kk": "K G NG HH",
    "CH": "CH JH SH ZH",
    "SS": "S Z",
    "nn": "N L",
    "RR": "R ER",
    "aa": "AA AH AY AW AE",
    "E": "EH EY",
    "ih": "IH IY Y",
    "oh": "AO OW OY",
    "ou": "UH UW W",
}

VISEMES: Final = tuple(_PHONES)
"""Names of the 15 visemes."""

VISEME_OF: Final[dict[str, str]] = {phone: viseme for viseme, phones in _PHONES.items() for phone in phones.split()}
"""The viseme of each phone of the ARPAbet, without stress marks."""

_GLIDES: Final = {"AY": ("aa", "ih"), "AW": ("aa", "ou"), "OY": ("oh", "ih"), "EY": ("E", "ih"), "OW": ("oh", "ou")}
_FIRST_OF_GLIDE = 0.6


def visemes_of(phone: str, start: float, end: float) -> list[tuple[str, float, float]]:
    """A phone's mouth shapes in order, (viseme, start, end): two for a diphthong, else one."""
    name = phone.rstrip("012").upper()
    if name in _GLIDES:
        middle = start + _FIRST_OF_GLIDE * (end - start)
        first, second = _GLIDES[name]
        return [(first, start, middle), (second, middle, end)]
    return [(VISEME_OF.get(name, SILENCE), start, end)]
