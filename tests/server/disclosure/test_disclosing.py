# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put into frames before they are encoded: into which pixels, and that every way gives the same."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import OpenEXR
import pytest
from portrait_server.disclosure.disclosing import Disclosing
from portrait_server.disclosure.find_watermark import find_watermark
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.media.images import decode_image
from portrait_shared.client.client import Client
from portrait_shared.disclosure import NOTHING_SHOWN, USUALLY_SHOWN, Disclosure, Label, watermark_id
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

SHOWN = Disclosure(True, Label("AI-Demo", "bottom-left", 0.08))
Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]


@pytest.fixture(scope="module")
def handle(shared_server, astronaut: Reference) -> PortraitHandle:
    with Client(shared_server.connection, name="preparing") as client:
        return client.prepare([ReferenceImage(astronaut.image, astronaut.points)], engine="warp")


@pytest.fixture(scope="module")
def people(astronaut: Reference) -> np.ndarray:
    engine = WarpEngine()
    photo = engine.driven_photo(engine.prepare([astronaut]))
    assert photo is not None
    return photo.people


@pytest.fixture
def drawn(client: Client, handle: PortraitHandle) -> Callable[..., np.ndarray]:
    """Pixels of a frame whose mouth is open, or of the photo at rest."""

    def draw(disclosure: Disclosure, rests: bool = False, **options: object) -> np.ndarray:
        points = handle.points[None].copy()
        if not rests:
            points[:, 65:68, 1] += 6
            points[:, 6:11, 1] += 6
        (frame,) = client.render(handle, points, [1], encoding="raw", disclosure=disclosure, **options)
        return frame.data

    return draw


def test_the_person_is_marked_and_all_else_stays(
    drawn: Callable[..., np.ndarray], handle: PortraitHandle, people: np.ndarray
) -> None:
    plain, marked = drawn(NOTHING_SHOWN), drawn(USUALLY_SHOWN)
    np.testing.assert_array_equal(marked[people == 0], plain[people == 0])
    assert (marked != plain).any(2)[people > 0.9].mean() > 0.5
    assert cv2.PSNR(marked, plain) > 42
    found = find_watermark(marked)
    assert found is not None and found.identifier == watermark_id(handle.portrait_id)
    assert find_watermark(plain) is None


def test_a_photo_at_rest_is_marked_as_all_its_frames_are(
    drawn: Callable[..., np.ndarray], astronaut: Reference, people: np.ndarray
) -> None:
    marked = drawn(USUALLY_SHOWN, rests=True)
    np.testing.assert_array_equal(marked[people == 0], astronaut.image[people == 0])
    assert find_watermark(marked) is not None
    np.testing.assert_array_equal(drawn(NOTHING_SHOWN, rests=True), astronaut.image)


def test_files_hold_what_is_shown_live(
    client: Client, handle: PortraitHandle, drawn: Callable[..., np.ndarray]
) -> None:
    points = handle.points[None].copy()
    points[:, 65:68, 1] += 6
    points[:, 6:11, 1] += 6
    (file,) = client.render(handle, points, [1], disclosure=SHOWN)
    np.testing.assert_array_equal(decode_image(file.data, ".png"), drawn(SHOWN))
    assert file.digest == client.frame_digest(handle, points[0], disclosure=SHOWN)
    assert file.digest != client.frame_digest(handle, points[0])


def test_cut_out_nothing_is_marked_where_nothing_is(drawn: Callable[..., np.ndarray]) -> None:
    plain, marked = drawn(NOTHING_SHOWN, matte=True), drawn(USUALLY_SHOWN, matte=True)
    np.testing.assert_array_equal(plain[..., 3], marked[..., 3])
    clear = plain[..., 3] == 0
    np.testing.assert_array_equal(plain[clear], marked[clear])
    assert (plain != marked).any()


def test_a_layered_frame_is_marked_in_its_picture_alone(client: Client, handle: PortraitHandle) -> None:
    layers = ("rgba", "matte", "depth", "confidence")
    points = handle.points[None].copy()
    points[:, 65:68, 1] += 6

    def channels(disclosure: Disclosure) -> dict[str, np.ndarray]:
        (frame,) = client.render(handle, points, [1], encoding="exr", layers=layers, disclosure=disclosure)
        with OpenEXR.File(io.BytesIO(frame.data), separate_channels=True) as file:
            return {name: channel.pixels for name, channel in file.channels().items()}

    plain, shown = channels(NOTHING_SHOWN), channels(SHOWN)
    differ = {name for name, pixels in plain.items() if (pixels != shown[name]).any()}
    assert differ == {"R", "G", "B"}
    assert all(pixels.max() <= 1.001 and pixels.min() >= 0 for name, pixels in shown.items() if name in differ)


def test_a_shots_own_pixels_stay() -> None:
    filmed = np.random.default_rng(5).integers(0, 256, (96, 128, 3), np.uint8)
    changed = filmed.copy()
    changed[30:60, 40:90] = 255 - changed[30:60, 40:90]
    own = (changed == filmed).all(2)
    shown = Disclosing(USUALLY_SHOWN, (128, 96), "5" * 64).into_changed(changed, filmed)
    np.testing.assert_array_equal(shown[own], filmed[own])
    assert (shown != changed).any()
    np.testing.assert_array_equal(Disclosing(USUALLY_SHOWN, (128, 96), "5" * 64).into_changed(filmed, filmed), filmed)


def test_colours_at_their_ends_do_not_wrap() -> None:
    for level in (0, 65535):
        frame = np.full((64, 64, 3), level, np.uint16)
        shown = Disclosing(USUALLY_SHOWN, (64, 64), "6" * 64).into(frame)
        assert np.abs(shown.astype(int) - level).max() < 65535 * 0.1
    layered = np.full((64, 64, 4), 255, np.float32)
    assert Disclosing(USUALLY_SHOWN, (64, 64), "6" * 64).into_layers(layered, ("rgba",)).max() <= 255


def test_a_label_that_cannot_be_written_is_refused_before_anything_is_drawn(client: Client, paint: Paint) -> None:
    portrait, points = paint(client)
    with pytest.raises(PortraitError, match="cannot be written") as caught:
        list(client.render(portrait, points, range(20), disclosure=Disclosure(True, Label("画像"))))
    assert caught.value.code is ErrorCode.BAD_CONFIGURATION
