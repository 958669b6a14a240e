# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels around a face are hair, and which skin, by their colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_LIGHTNESS = 0.4  # how much a difference of lightness counts against one of hue: shadows fall on both
_ALIKE = 9.0  # distance of colours (CIELAB) below which a head counts as bald, or its hair as no other than its skin
_SKIN = 0.4  # share of skin beyond which a pixel is none of hair
_STRANGE = 0.1  # likeness to the hair's colour up to which it is none either, as a red ear
_NEAR = 1.2  # how much nearer to the other's colour a pixel must be to be told from it


@dataclass(frozen=True)
class HairColour:
    """Typical colours of a person's skin and hair: (3,) each, CIELAB."""

    skin: np.ndarray
    hair: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, skin: np.ndarray, hair: np.ndarray) -> HairColour:
        """From where a picture (H, W, 3 or 4) shows either: places (P, 2) and (Q, 2), pixels."""
        lab = (_lab(_at(image, places)) for places in (skin, hair))
        return cls(*(np.median(colours, axis=0) for colours in lab))

    @property
    def bald(self) -> bool:
        return bool(_apart(self.skin, self.hair) < _ALIKE)

    def skin_share(self, colours: np.ndarray) -> np.ndarray:
        """1 where colours (…, 3 or 4) are skin's, 0 where they are hair's: (…) float; skin all over where it is bald."""
        if self.bald:
            return np.ones(colours.shape[:-1])
        lab = _lab(colours)
        to_skin, to_hair = _apart(lab, self.skin), _apart(lab, self.hair)
        return np.clip((_NEAR * to_hair - to_skin) / np.maximum(0.4 * (to_skin + to_hair), 1e-3), 0, 1)

    def hair_share(self, colours: np.ndarray) -> np.ndarray:
        """1 where colours (…, 3 or 4) are like the hair's, down to 0 where they are quite another: (…) float."""
        return _likeness(colours, self.hair)

    def is_hair(self, colours: np.ndarray) -> np.ndarray:
        """Where colours (…, 3 or 4) are those of hair: (…) bool."""
        return np.asarray((self.skin_share(colours) < _SKIN) & (self.hair_share(colours) > _STRANGE))

    def skin_likeness(self, colours: np.ndarray) -> np.ndarray:
        """1 where colours (…, 3 or 4) are like the skin's, down to 0 where they are quite another, as of a shirt: (…) float."""
        return _likeness(colours, self.skin)


def colours_at(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (…, C) of a picture (H, W, C) at places (…, 2), pixels, its border continued."""
    return _at(image, places.reshape(-1, 2)).reshape(*places.shape[:-1], -1)


def _at(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    x, y = np.clip(np.round(places).astype(int), 0, np.array(image.shape[1::-1]) - 1).T
    return np.asarray(image[y, x])


def _lab(colours: np.ndarray) -> np.ndarray:
    whole = (colours[..., :3].astype(np.float32) / 255).clip(0, 1)
    return cv2.cvtColor(whole.reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(whole.shape) if whole.size else whole


def _likeness(colours: np.ndarray, typical: np.ndarray) -> np.ndarray:
    return np.clip(2 - _apart(_lab(colours), typical) / 14, 0, 1)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt((((a - b) * (_LIGHTNESS, 1, 1)) ** 2).sum(-1))
