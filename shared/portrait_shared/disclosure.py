# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames show of having been made: to programs an invisible watermark, to people a label."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError

CORNERS: Final = ("top-right", "top-left", "bottom-right", "bottom-left")
"""Where a label may lie; the first is where one is looked for."""
USUAL_SIZE: Final = 0.06
ICON_WORDS: Final = "AI MODIFIED"
"""What the icon says."""
SIZES: Final = (0.02, 0.3)
"""The least and the largest height of a label, in heights of the frame."""
MAX_WORDING_CHARACTERS: Final = 80
MAX_DISCLOSURE_CHARACTERS: Final = 1000
"""Of a disclosure as JSON text."""
WATERMARK_VERSION: Final = "watermark-1"
"""Changes whenever the server may put another watermark into the same pixels."""
_LABEL_VERSION: Final = "label-1"  # changes whenever it may draw another label


@dataclass(frozen=True)
class Label:
    """A visible label, drawn over finished frames.

    Attributes:
        text: an own wording, one line; may be empty where there is an icon.
        corner: one of `CORNERS`.
        size: its height in heights of the frame; kept to thousandths.
        icon: whether the EU's icon for pictures that AI has modified is shown, before the wording.
    """

    text: str = ""
    corner: str = CORNERS[0]
    size: float = USUAL_SIZE
    icon: bool = True

    @property
    def words(self) -> str:
        """All that it says, those of the icon too."""
        return " ".join([*([ICON_WORDS] if self.icon else []), *self.text.split()])

    def __post_init__(self) -> None:
        """Raises: PortraitError: BAD_CONFIGURATION."""
        if type(self.text) is not str or len(self.text) > MAX_WORDING_CHARACTERS or not self.text.isprintable():
            raise _bad(f"A label's wording is one line of at most {MAX_WORDING_CHARACTERS} characters.")
        if self.corner not in CORNERS:
            raise _bad(f"A label lies in one of the corners {', '.join(CORNERS)}.")
        if type(self.size) not in (int, float) or not math.isfinite(self.size):
            raise _bad("A label's size must be a number.")
        # Blender holds sizes as float32: the same size is the same label, whatever program tells it.
        object.__setattr__(self, "size", round(float(self.size), 3))
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise _bad(f"A label's size is {SIZES[0]} to {SIZES[1]} of the frame's height.")
        if type(self.icon) is not bool:
            raise _bad("Whether a label has the icon is true or false.")
        if not self.icon and not self.text.strip():
            raise _bad("A label needs the icon or a wording.")


@dataclass(frozen=True)
class Disclosure:
    """What frames show.

    Attributes:
        watermark: whether their pixels carry the invisible watermark.
        label: None where no label is drawn.
    """

    watermark: bool = True
    label: Label | None = None

    @property
    def hashed(self) -> str:
        """What content hashes take of it; empty where nothing is shown."""
        shown = [WATERMARK_VERSION] if self.watermark else []
        if self.label is not None:
            shown.append(f"{_LABEL_VERSION} {_as_json(asdict(self.label))}")
        return " ".join(shown)

    def as_json(self) -> str:
        """The same for `from_json`, always in the same characters; empty where nothing is shown."""
        return _as_json(asdict(self)) if self != NOTHING_SHOWN else ""

    @classmethod
    def from_json(cls, text: str) -> Disclosure:
        """What `as_json` has told.

        Raises:
            PortraitError: BAD_CONFIGURATION.
        """
        if not text:
            return NOTHING_SHOWN
        try:
            if len(text) > MAX_DISCLOSURE_CHARACTERS:
                raise ValueError("too long")
            return cls.from_values(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise _bad("What frames show of having been made is not told as it should be.") from error

    @classmethod
    def from_values(cls, told: Any) -> Disclosure:
        """Of the values that JSON has: a map of `watermark` and `label`, which is null or a map itself.

        Raises:
            PortraitError: BAD_CONFIGURATION.
        """
        try:
            watermark, label = told["watermark"], told["label"]
            if type(watermark) is not bool or len(told) != 2:
                raise TypeError("another map")
            return cls(watermark, None if label is None else Label(**label))
        except (TypeError, KeyError) as error:
            raise _bad("What frames show of having been made is not told as it should be.") from error


NOTHING_SHOWN: Final = Disclosure(watermark=False)
USUALLY_SHOWN: Final = Disclosure()
"""What frames show where nobody says anything."""


def watermark_id(source: str) -> int:
    """The number that a watermark carries.

    Args:
        source: content hash of what was drawn, in hex: a portrait's id, or a shot's digest.

    Returns:
        32 bits, of a hash over it, which tell nothing of the source to whoever does not have it.
    """
    return int.from_bytes(hashlib.sha256(f"watermark {source}".encode()).digest()[:4], "big")


def _as_json(values: Any) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _bad(sentence: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_CONFIGURATION, sentence, "Change the label's settings.")
