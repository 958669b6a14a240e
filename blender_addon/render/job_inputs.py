# SPDX-License-Identifier: GPL-3.0-or-later
"""What a portrait's frames are drawn from, as files and words for `portrait job write`: for the panel's very bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from portrait_shared.disclosure import Disclosure
from portrait_shared.files.whole_files import write_whole
from portrait_shared.frames.frame_numbers import ranges_of
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack

from ..rig.sampling import RigSample
from .photo_inputs import PhotoInputs
from .png import png_bytes


def photo_words(inputs: PhotoInputs, folder: Path, first: ReferenceImage) -> list[str]:
    """What the command is to be asked for. Touches nothing of Blender's.

    Args:
        inputs: sampled.
        folder: where the files are written that the words name.
        first: `PhotoInputs.reference`.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    words: list[str] = []
    for number, reference in enumerate([first, *inputs.further], 1):
        picture = folder / f"photo{number}.png"
        write_whole(picture, png_bytes(reference.image))
        words += ["--reference", str(picture)]
    further_faces = () if inputs.further_faces is None else inputs.further_faces
    faces = [ReferenceImage(first.image, points) for points in (inputs.points, *further_faces)]
    for number, reference in enumerate([*faces, *inputs.further], 1):
        assert reference.points is not None
        points = folder / f"points{number}.npz"
        LandmarkTrack(reference.points[np.newaxis], reference.size).save(points)
        words += ["--reference-points", str(points)]
    words += _track_words(inputs, folder, first.size)
    words += ["--photo-digest", inputs.photo_digest, "--size", "x".join(map(str, inputs.size))]
    words += ["--depth", str(inputs.depth), *(["--matte"] if inputs.matte else [])]
    if inputs.layers:
        words += ["--format", "exr", "--layers", ",".join(inputs.layers), "--colorspace", inputs.colorspace]
    words += disclosure_words(inputs.disclosure)
    if inputs.engine is not None:
        words += ["--engine", inputs.engine]
    if inputs.personal is not None:
        personal = folder / "personal.safetensors"
        inputs.personal.save(personal)
        words += ["--personal", str(personal)]
    return words


def disclosure_words(disclosure: Disclosure) -> list[str]:
    """What a `portrait` command is told of what frames show of having been made."""
    words = [] if disclosure.watermark else ["--no-watermark"]
    if (label := disclosure.label) is not None:
        words += [f"--label={label.text}" if label.text else "--label", "--label-corner", label.corner]
        words += ["--label-size", str(label.size), "--label-icon" if label.icon else "--no-label-icon"]
    return words


def _track_words(inputs: PhotoInputs, folder: Path, size: tuple[int, int]) -> list[str]:
    """A track of each face, in the order in which all of them are drawn."""
    faces = [[sample, *sample.others] for sample in inputs.samples]
    words = [f"--frames={ranges_of(inputs.frames)}"]
    for number, samples in enumerate(zip(*faces, strict=True), 1):
        path = folder / f"track{number}.npz"
        _track(inputs, samples, size).save(path)
        words += [*(["--face", str(number)] if len(faces[0]) > 1 else []), "--track", str(path)]
    return words


def _track(inputs: PhotoInputs, samples: tuple[RigSample, ...], size: tuple[int, int]) -> LandmarkTrack:
    """One face's; between frames that are asked for it holds the one before."""
    span = np.arange(inputs.frames[0], inputs.frames[-1] + 1)
    held = np.searchsorted(inputs.frames, span, side="right") - 1
    points, body = (np.stack([getattr(sample, name) for sample in samples])[held] for name in ("points", "body"))
    return LandmarkTrack(points, size, inputs.times.fps, int(span[0]), body=body)
