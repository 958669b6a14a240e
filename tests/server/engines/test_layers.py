# SPDX-License-Identifier: GPL-3.0-or-later
"""What the layers of frames say, on a photograph of an astronaut and on rendered heads whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_shared.layers import LAYERS, USUAL, channels_of, followed_rows

from tests.posing import looking, moved, speaking, turned

SIZE = 512, 512
WIDE_OPEN = 0.25


@pytest.fixture(scope="module")
def portrait(engine: WarpEngine, astronaut: Reference) -> WarpPortrait:
    return engine.prepare([astronaut])


def drawn(
    engine: WarpEngine,
    portrait: WarpPortrait,
    rows: list[np.ndarray],
    layers: tuple[str, ...] = USUAL,
    matte: bool = False,
) -> list[dict[str, np.ndarray]]:
    """Each frame's channels by name; each is followed by the next."""
    points = np.stack(rows).astype(np.float32)
    points = points[followed_rows(range(len(rows)), layers)]
    frames = engine.render_layers(portrait, points, SIZE, matte, layers)
    assert frames.shape == (len(rows), *SIZE, len(channels_of(layers))) and frames.dtype == np.float32
    return [dict(zip(channels_of(layers), np.moveaxis(frame, -1, 0), strict=True)) for frame in frames]


def at(plane: np.ndarray, point: np.ndarray) -> float:
    x, y = np.round(point[:2]).astype(int)
    return float(plane[y, x])


def test_at_rest_all_is_the_photos_own(engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference) -> None:
    (rest,) = drawn(engine, portrait, [astronaut.points])
    for number, name in enumerate("RGB"):
        np.testing.assert_array_equal(rest[name], astronaut.image[..., number])
    assert (rest["A"] == 255).all() and (rest["confidence.Y"] == 1).all()
    assert (rest["forward.u"] == 0).all() and (rest["forward.v"] == 0).all()
    (cut_out,) = drawn(engine, portrait, [astronaut.points], ("rgba", "matte"), matte=True)
    np.testing.assert_array_equal(cut_out["A"], rest["matte.A"])
    np.testing.assert_array_equal(cut_out["matte.A"], rest["matte.A"])
    inside = cut_out["A"] == 255
    assert inside.mean() > 0.3
    for number, name in enumerate("RGB"):
        np.testing.assert_array_equal(cut_out[name][inside], astronaut.image[inside, number])


def test_the_picture_is_that_of_png_files(engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference) -> None:
    target = speaking(turned(astronaut.points, yaw=12), 0.1)
    (frame,) = drawn(engine, portrait, [target])
    (png,) = engine.render(portrait, target[None], SIZE, True)
    np.testing.assert_array_equal(np.dstack([frame[name] for name in "RGB"]), png[..., :3])
    np.testing.assert_array_equal(frame["matte.A"], png[..., 3])


def test_a_layer_is_the_same_with_others_and_alone(
    engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference
) -> None:
    rows = [turned(astronaut.points, yaw=8), speaking(astronaut.points, 0.1)]
    together = drawn(engine, portrait, rows, LAYERS)
    for layer in LAYERS:
        for whole, alone in zip(together, drawn(engine, portrait, rows, (layer,)), strict=True):
            for name, plane in alone.items():
                np.testing.assert_array_equal(plane, whole[name], err_msg=name)


def test_depth_is_in_face_widths_before_the_photos_plane(
    engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference
) -> None:
    (frame,) = drawn(engine, portrait, [astronaut.points])
    depth = frame["depth.Z"]
    assert depth.max() <= 0 and (depth[frame["matte.A"] == 0] == 0).all()
    points = astronaut.points
    width = np.linalg.norm(points[16] - points[0])
    assert at(depth, points[30]) == depth.min()  # the tip of the nose
    relief = at(depth, points[30]) - at(depth, points[8])
    assert relief == pytest.approx((points[30, 2] - points[8, 2]) / width, abs=0.05)
    assert at(depth, points[33]) < at(depth, points[45] + [0, 14, 0]) < at(depth, np.array([230, 400]))


def test_forward_says_where_each_place_goes(engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference) -> None:
    points = astronaut.points
    tip, there = points[30], moved(points, right=0.1, down=-0.05)
    first, second = drawn(engine, portrait, [points, there])
    assert at(first["forward.u"], tip) == pytest.approx(there[30, 0] - tip[0], abs=0.1)
    assert at(first["forward.v"], tip) == pytest.approx(tip[1] - there[30, 1], abs=0.1)  # upwards
    beside = first["matte.A"] == 0
    assert (first["forward.u"][beside] == 0).all() and (first["forward.v"][beside] == 0).all()
    assert (second["forward.u"] == 0).all() and (second["forward.v"] == 0).all()


def test_forward_follows_gaze_and_jaw_inside_the_openings(
    engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference
) -> None:
    points = astronaut.points
    gaze = looking(points, 0.15, 0)
    first, _ = drawn(engine, portrait, [points, gaze], ("forward",))
    pupil = points[68]
    assert at(first["forward.u"], pupil) == pytest.approx(gaze[68, 0] - pupil[0], abs=0.2)
    wide, wider = (speaking(points, share) for share in (0.12, WIDE_OPEN))
    first, _ = drawn(engine, portrait, [wide, wider], ("forward",))
    lower = wide[66] - [0, 2, 0]  # just above the lower lip, where it goes with the jaw
    assert at(first["forward.v"], lower) < -1


def test_vector_is_forward_for_blenders_blur(engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference) -> None:
    first, _ = drawn(engine, portrait, [astronaut.points, turned(astronaut.points, yaw=6)], LAYERS)
    for vector, forward in (("X", "u"), ("Y", "v"), ("Z", "u"), ("W", "v")):
        np.testing.assert_array_equal(first[f"vector.{vector}"], -first[f"forward.{forward}"])


def test_confidence_falls_where_the_photo_does_not_show_it(
    engine: WarpEngine, portrait: WarpPortrait, astronaut: Reference
) -> None:
    points = astronaut.points
    (spoken,) = drawn(engine, portrait, [speaking(points, WIDE_OPEN)], ("confidence",))
    sure = spoken["confidence.Y"]
    assert sure.min() >= 0 and sure.max() <= 1
    throat = speaking(points, WIDE_OPEN)[[62, 66]].mean(0) + np.array([0, 3, 0])
    assert at(sure, throat) < 0.2 and at(sure, points[30]) > 0.95 and sure[:20, :20].min() == 1
    (aside,) = drawn(engine, portrait, [turned(points, yaw=30)], ("confidence", "matte"))
    revealed = (aside["matte.A"] == 0) & (portrait.matte > 0.9)
    assert revealed.sum() > 200 and aside["confidence.Y"][revealed].mean() < 0.1
    person = aside["matte.A"] == 255
    assert 0.3 < aside["confidence.Y"][person].mean() < 0.95


def test_layers_of_a_transparent_photo_keep_what_is_clear(engine: WarpEngine, astronaut: Reference) -> None:
    clear = np.dstack([astronaut.image, np.full(SIZE, 255, np.uint8)])
    clear[:, 400:, 3] = 40
    transparent = engine.prepare([Reference(clear, astronaut.points)])
    (frame,) = drawn(engine, transparent, [astronaut.points], ("rgba", "matte"))
    np.testing.assert_array_equal(frame["A"], clear[..., 3])
    assert (frame["matte.A"][:, 400:] <= 40).all()


def test_a_photo_of_16_bits_has_its_levels(engine: WarpEngine, astronaut: Reference) -> None:
    deep = astronaut.image.astype(np.uint16) * 257 - (astronaut.image > 0) * 100
    portrait = engine.prepare([Reference(deep.astype(np.uint16), astronaut.points)])
    (frame,) = drawn(engine, portrait, [astronaut.points], ("rgba",))
    np.testing.assert_array_equal(np.rint(frame["G"] * 257), deep[..., 1])


def test_painters_make_a_place_less_sure(astronaut: Reference) -> None:
    fewshot = FewshotEngine("cpu", find_weights())
    portrait = fewshot.prepare([astronaut])
    target = speaking(astronaut.points, WIDE_OPEN)
    points = np.stack([target, target]).astype(np.float32)[:1]
    frame = fewshot.render_layers(portrait, points, SIZE, False, ("rgba", "confidence"))[0]
    np.testing.assert_array_equal(frame[..., :3], fewshot.render(portrait, points, SIZE, False)[0])
    sure = frame[..., 4]
    assert at(sure, target[[62, 66]].mean(0)) < 0.2 and at(sure, target[30]) > 0.9 and sure[:20, :20].min() == 1
