# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame files are lossless, repeatable, and say that they were made."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from portrait_server.media.png import encode_png


@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_and_provenance_survive(channels: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (33, 47, channels), np.uint8)
    data = encode_png(pixels, "c" * 64, "warp")
    assert data == encode_png(pixels, "c" * 64, "warp")
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["talking-portraits:digest"] == "c" * 64
        xmp = image.info["XML:com.adobe.xmp"]
    assert "compositeSynthetic" in xmp and "Talking Portraits" in xmp and "(warp)" in xmp
