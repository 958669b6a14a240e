# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames as an MP4 that plays everywhere and says that it was made."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from portrait_shared import __version__
from portrait_shared.files.whole_files import partial_file, write_error

from portrait_server.media.images import read_image

_QUALITY = "16"  # H.264's constant rate factor: visually lossless


def write_mp4(frames: Sequence[Path], path: Path, fps: float) -> None:
    """H.264 in 4:2:0 from frame files; the file appears whole or not at all.

    Args:
        frames: pictures of one size, in order; an odd last row or column is dropped, as 4:2:0 needs.
        path: the MP4 file.
        fps: frames per second.

    Raises:
        PortraitError: a frame cannot be read, or the file cannot be written.
    """
    height, width = (side - side % 2 for side in read_image(frames[0]).shape[:2])
    try:
        with (
            partial_file(path) as partial,
            av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            container.metadata["comment"] = f"Synthetic: made with Talking Portraits {__version__}"
            stream = container.add_stream("h264", rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": _QUALITY}
            for frame in frames:
                pixels = np.ascontiguousarray(read_image(frame)[:height, :width, :3])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
    except (OSError, av.FFmpegError) as error:
        raise write_error(path, error) from error
