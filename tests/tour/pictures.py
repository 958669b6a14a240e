# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation's pictures, from the tour's photographs of the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

_WIDEST = 1200
_QUALITY = 78


FROM_ZIP = frozenset(("install_server.jpg", "installing_server.jpg"))
"""Of the chapter that is taken only where it is asked for."""


def write(report: dict[str, Any], folder: Path, target: Path, whole: bool) -> None:
    """Cuts and shrinks every picture that names what it shows, into TARGET/NAME.jpg.

    Args:
        whole: the whole tour was taken: others of before go, but for those of `FROM_ZIP`.
    """
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.jpg") if whole else ():
        if old.name not in FROM_ZIP:
            old.unlink()
    for name, crop in report["pictures"].items():
        if crop is None:
            continue
        picture = Image.open(folder / f"{name}.png").convert("RGB").crop(crop)
        if picture.width > _WIDEST:
            picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.LANCZOS)
        picture.save(target / f"{name}.jpg", quality=_QUALITY, optimize=True, progressive=True)
