# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the file of a picture is refused, in words: what decoders raise, sizes, and kinds that are not read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from PIL import Image
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import MAX_IMAGE_PIXELS
from portrait_shared.track import MAX_SIDE_PIXELS

_SAVE_AS = "Open it in an image editor and save it as PNG or JPEG."
_SCALE_DOWN = "Scale it down; 4096 pixels a side is the most a portrait is drawn at."
_MOST_DETAIL_CHARACTERS = 200


def check_file(path: Path) -> None:
    """Raises: PortraitError: FILE_MISSING, or BAD_IMAGE for a folder or an empty file."""
    if not os.path.exists(path):
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path, or choose the picture again."
        )
    if not os.path.isfile(path):
        raise PortraitError(ErrorCode.BAD_IMAGE, f"{path} is not a file.", "Give the path of a picture.")
    if path.stat().st_size == 0:
        raise bad_image(path, "it is empty")


def check_size(name: str | PurePath, width: int, height: int) -> None:
    """Raises: PortraitError: IMAGE_TOO_LARGE."""
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_IMAGE_PIXELS:
        raise too_large(name, f"{width}x{height} pixels")


@contextmanager
def in_words(name: str, remedy: str = _SAVE_AS) -> Iterator[None]:
    """Turns whatever a decoder raises into a PortraitError."""
    try:
        with warnings.catch_warnings():
            # The limits here are stricter than Pillow's warning, and an odd EXIF tag is no concern.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            yield
    except PortraitError:
        raise
    except Image.DecompressionBombError:
        raise too_large(name, "more pixels than can be read safely") from None
    except Image.UnidentifiedImageError:
        raise bad_image(name, "it is not a picture of a kind that can be read") from None
    except MemoryError:
        raise too_large(name, "more pixels than fit in memory") from None
    except PermissionError:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"You may not read {name}.", "Ask its owner for the right to read it, or copy it."
        ) from None
    except Exception as error:
        # A dozen decoders raise errors of every kind on a damaged file: RuntimeError, TypeError, SyntaxError…
        detail = f"{error}"[:_MOST_DETAIL_CHARACTERS] or type(error).__name__
        raise bad_image(name, f"it is damaged or incomplete ({detail})", remedy) from error


def too_large(name: str | PurePath, what: str, remedy: str = _SCALE_DOWN) -> PortraitError:
    return PortraitError(
        ErrorCode.IMAGE_TOO_LARGE,
        f"{name} has {what}; up to {MAX_SIDE_PIXELS} a side and {MAX_IMAGE_PIXELS // 1_000_000} megapixels are read.",
        remedy,
    )


def bad_image(name: str | PurePath, why: str, remedy: str = _SAVE_AS) -> PortraitError:
    return PortraitError(ErrorCode.BAD_IMAGE, f"Cannot read {name} as a picture: {why}.", remedy)


def raw_data(name: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_IMAGE,
        f"Cannot read {name} as a picture: it holds a camera's raw data.",
        "Develop it in a photo program and save it as JPEG, PNG or TIFF.",
    )
