# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a shot as the server reads them are those that Blender shows of its movie: a strip of both does not jump."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402


def write_movie(path: Path, width: int, height: int, told: int | None) -> None:
    """Three frames of soft colours, the matrix told by its number in ITU-T H.273 or not at all."""
    import av

    y, x = np.mgrid[:height, :width] * (2 * np.pi / 150)
    waves = np.stack([np.sin(x + y), np.sin(y - x + 1), np.sin(x - 2)], -1)
    picture = np.round(127 + 100 * waves).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if told is not None:
            stream.codec_context.colorspace = told
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            if told is not None:
                frame.colorspace = told
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.servers_environment
@pytest.mark.parametrize("told", [None, 1, 6])
@pytest.mark.parametrize("size", [(1280, 720), (320, 240)])
def test_a_plate_is_what_blender_shows(scene: Any, tmp_path: Path, size: tuple[int, int], told: int | None) -> None:
    from portrait_server.media.images import read_image
    from portrait_server.shots.reader import ShotReader

    write_movie(tmp_path / "shot.mp4", *size, told)
    with ShotReader(tmp_path / "shot.mp4") as shot:
        plate = shot.frame(1).astype(int)
    compat.strips_of(scene.sequence_editor_create()).new_movie("shot", str(tmp_path / "shot.mp4"), 1, 1)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage, render.fps = *size, 100, 25
    render.image_settings.file_format, render.filepath = "PNG", str(tmp_path / "shown.png")
    scene.view_settings.view_transform = "Standard"
    scene.frame_set(2)
    bpy.ops.render.render(write_still=True)
    shown = read_image(tmp_path / "shown.png").astype(int)
    assert np.abs(shown - plate).max() <= 2
    assert np.abs(shown - plate).mean() < 0.05
