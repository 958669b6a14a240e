# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation's pictures, from the tour's photographs of the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

_WIDEST = 1200
_QUALITY = 78


def write(report: dict[str, Any], folder: Path, target: Path) -> None:
    """Cuts and shrinks every picture that names what it shows, into TARGET/NAME.jpg; others of before go."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.jpg"):
        old.unlink()
    for name, crop in report["pictures"].items():
        if crop is None:
            continue
        picture = Image.open(folder / f"{name}.png").convert("RGB").crop(crop)
        if picture.width > _WIDEST:
            picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.LANCZOS)
        picture.save(target / f"{name}.jpg", quality=_QUALITY, optimize=True, progressive=True)
