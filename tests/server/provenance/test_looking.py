# SPDX-License-Identifier: GPL-3.0-or-later
"""The watermark of a shot, in which little more than a mouth was changed, is found around the face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from portrait_server.detectors.registry import create_detector
from portrait_server.disclosure.disclosing import Disclosing
from portrait_server.disclosure.find_watermark import find_watermark
from portrait_server.provenance.looking import look
from portrait_server.shots.region import place_of_faces, usual_change
from portrait_shared.disclosure import USUALLY_SHOWN, watermark_id
from skimage.data import astronaut

SIDE, SIZE = 1024, (2400, 1200)


def test_a_mouth_that_was_changed_is_found_in_a_copy(tmp_path: Path) -> None:
    filmed = np.random.default_rng(1).integers(60, 120, (SIZE[1], SIZE[0], 3), np.uint8)
    filmed[:SIDE, :SIDE] = cv2.resize(astronaut()[:256, 100:356], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    detector = create_detector("mediapipe")
    (face,) = detector.detect(filmed)
    detector.close()
    points = face.points[None]
    (left, top), (right, bottom) = points[0, :68, :2].min(0).astype(int), points[0, :68, :2].max(0).astype(int)
    lower = slice((top + bottom) // 2, bottom + (bottom - top) // 8), slice(left, right)
    drawn = filmed.copy()
    drawn[lower] ^= 1

    marking = Disclosing(USUALLY_SHOWN, SIZE, "a" * 64, place_of_faces(points, SIZE), area=usual_change(points))
    shown = marking.into_changed(drawn, filmed)
    assert (np.abs(shown.astype(int) - filmed)[lower].mean(), (shown != drawn).mean()) < (3, 0.2)
    cv2.imwrite(str(tmp_path / "copy.jpg"), shown[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 80))
    cv2.imwrite(str(tmp_path / "filmed.png"), filmed[..., ::-1])

    found = look(tmp_path / "copy.jpg").watermark
    assert found is not None and found.identifier == watermark_id("a" * 64)
    assert find_watermark(cv2.imread(str(tmp_path / "copy.jpg"))[..., ::-1]) is None, "all else hides it"
    assert look(tmp_path / "filmed.png").watermark is None
