# SPDX-License-Identifier: GPL-3.0-or-later
"""A client gives a picture's file, and gets what `read_image` would return of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pillow_heif
import pytest
from PIL import Image
from portrait_server.media.images import read_image
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.client_messages import MAX_SENT_FILE_BYTES
from portrait_shared.protocol.references import ReferenceImage


def turned_photo(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    y, x = np.mgrid[0:48, 0:64]
    Image.fromarray(np.stack((x * 3, y * 4, x + y), 2).astype(np.uint8)).save(path, exif=exif, quality=90)
    return path


def test_the_picture_is_that_of_the_command_line(client: Client, tmp_path: Path) -> None:
    path = turned_photo(tmp_path / "a.jpg")
    before = client.stats()["references"]
    pixels = client.read_picture(path.read_bytes(), path.suffix)
    assert pixels.shape == (64, 48, 3)
    np.testing.assert_array_equal(pixels, read_image(path))
    assert client.stats()["references"] == before, "what was only read is not kept"
    assert ReferenceImage(pixels).size == (48, 64), "it can be given back at once"


def test_a_kind_without_a_mark_is_known_by_its_name(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (1, 2, 3)).save(tmp_path / "a.tga")
    content = (tmp_path / "a.tga").read_bytes()
    assert client.read_picture(content, ".TGA").shape == (10, 20, 3)
    with pytest.raises(PortraitError, match="not a picture of a kind"):
        client.read_picture(content, ".of_a_length_that_nobody_knows")


def test_a_server_reads_what_phones_write(client: Client, tmp_path: Path) -> None:
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 100, 50))).save(tmp_path / "a.heic", quality=90)
    pixels = client.read_picture((tmp_path / "a.heic").read_bytes(), ".heic")
    assert pixels.shape == (48, 64, 3) and np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("depth", [8, 16])
def test_a_server_reads_what_film_is_kept_in(client: Client, tmp_path: Path, depth: int) -> None:
    path, light = tmp_path / "a.exr", np.full((48, 64), 0.2, np.float16)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, dict.fromkeys("RGB", light)).write(str(path))
    pixels = client.read_picture(path.read_bytes(), ".exr", depth)
    code = 1.055 * float(light[0, 0]) ** (1 / 2.4) - 0.055
    np.testing.assert_array_equal(pixels, np.full((48, 64, 3), round(code * (2**depth - 1)), f"u{depth // 8}"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"hello", "kind that can be read"), (b"\x89PNG\r\n\x1a\n\0\0", "Cannot read")],
)
def test_what_is_no_picture_is_refused_and_the_server_goes_on(client: Client, content: bytes, said: str) -> None:
    with pytest.raises(PortraitError, match=said) as caught:
        client.read_picture(content, ".png")
    assert caught.value.code is ErrorCode.BAD_IMAGE and "this file" in caught.value.message and caught.value.remedy
    assert client.echo(through_engine=True) >= 0


def test_a_file_that_is_too_large_to_be_sent_is_refused(client: Client) -> None:
    with pytest.raises(PortraitError, match="256") as caught:
        client.read_picture(bytes(MAX_SENT_FILE_BYTES + 1), ".png")
    assert caught.value.code is ErrorCode.IMAGE_TOO_LARGE
