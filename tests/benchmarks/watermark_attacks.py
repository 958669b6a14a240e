#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watermark stands, how much it changes, and whether it is ever seen where it is not.

`python tests/benchmarks/watermark_attacks.py [--people 20] [--sides 256,512,720]` prints the table of docs/trust.md: of
how many portraits the watermark is found, and its number read, after each attack. `… --unmarked 2000` looks at as many
pictures without one and prints what is found in them, and the least chance of a false alarm that came up.

Portraits are scikit-image's astronaut and, where they lie beside the checkout, photographs of faces and paintings. The mark
lies on the person alone. In movies head and mouth move while the mark stays.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.matte import person_matte
from portrait_server.disclosure import find_watermark as finding
from portrait_server.disclosure.find_watermark import FoundWatermark, find_in_frames, find_watermark
from portrait_server.disclosure.watermark import Watermark, activity_of
from portrait_server.media.images import read_image

from tests import paths

IDENTIFIER = 0x5EED1E55
MOVIE_FRAMES = 16
Attack = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--sides", default="256,512,720")
    parser.add_argument("--unmarked", type=int, default=0)
    options = parser.parse_args()
    if options.unmarked:
        _count_alarms(options.unmarked)
    else:
        _table([int(side) for side in options.sides.split(",")], options.people)


def _table(sides: list[int], people: int) -> None:
    tallies: dict[str, dict[int, list[FoundWatermark | None]]] = {}
    photos = [(photo, person_matte(photo)) for photo in _portraits(people)]
    for side in sides:
        changes = []
        for photo, matte in photos:
            image, weight = _at(photo, side), _at(matte, side)
            watermark = Watermark((image.shape[1], image.shape[0]), IDENTIFIER, weight, activity_of(image))
            marked = watermark.apply(image)
            changes.append((_psnr(image, marked, np.ones_like(weight)), _psnr(image, marked, weight)))
            for name, attack in ATTACKS.items():
                tallies.setdefault(name, {}).setdefault(side, []).append(find_watermark(attack(marked)))
            frames = [watermark.apply(frame) for frame in _moving(image, weight)]
            for name, movie in _movies(frames).items():
                tallies.setdefault(name, {}).setdefault(side, []).append(find_in_frames(movie))
        whole, person = (min(values) for values in zip(*changes, strict=True))
        print(f"{side}: {len(changes)} portraits; lowest PSNR {whole:.1f} dB, over the person alone {person:.1f} dB")
    print("| attack | " + " | ".join(f"{side}" for side in sides) + " |\n|---|" + "---|" * len(sides))
    for name, by_side in tallies.items():
        print(f"| {name} | " + " | ".join(_in_words(by_side[side]) for side in sides) + " |", flush=True)


def _in_words(found: list[FoundWatermark | None]) -> str:
    wrong = sum(one is not None and one.identifier not in (None, IDENTIFIER) for one in found)
    seen, read = (
        sum(one is not None for one in found),
        sum(one is not None and one.identifier == IDENTIFIER for one in found),
    )
    said = f"{100 * seen / len(found):.0f} %" + ("" if read == seen else f" ({100 * read / len(found):.0f} % read)")
    return said + (f", {wrong} WRONG" if wrong else "")


def _count_alarms(wanted: int) -> None:
    chances: list[float] = []
    judged = finding._read

    def watched(*arguments: object) -> tuple[float, int | None, float]:
        reading = judged(*arguments)  # type: ignore[arg-type]
        chances.append(reading[0])
        return reading

    finding._read = watched  # type: ignore[assignment]
    alarms, least = 0, 1.0
    for number, (name, image) in zip(range(1, wanted + 1), _unmarked(), strict=False):
        chances.clear()
        if (found := find_watermark(image)) is not None:
            alarms += 1
            print(f"ALARM {name}: {found}")
        least = min(least, *chances)
        if number % 100 == 0:
            print(f"{number} pictures, {alarms} alarms, least chance {least:.2g}", flush=True)


def _unmarked() -> Iterator[tuple[str, np.ndarray]]:
    """Faces, paintings and frames of clips as they are; pieces of them at other sizes; patterns that repeat, and noise."""
    rng = np.random.default_rng(7)
    folders = [paths.congress_portraits(), paths.london_faces(), paths.portraits()]
    files = [file for folder in folders if folder is not None for file in sorted(folder.glob("*.jpg"))]
    if (clips := paths.real_clips()) is not None:
        files += sorted(clips.glob("*/*.jpg"))[::8]
    for file in files:
        yield file.name, read_image(file)[..., :3]
    for _ in range(120):
        yield "pattern", _pattern(rng)
    while files:
        file = files[rng.integers(len(files))]
        image = read_image(file)[..., :3]
        height, width = (round(length * rng.uniform(0.5, 1)) for length in image.shape[:2])
        top, left = rng.integers(image.shape[0] - height + 1), rng.integers(image.shape[1] - width + 1)
        piece = np.ascontiguousarray(image[top : top + height, left : left + width])
        yield f"piece of {file.name}", _jpeg(60)(_scaled(rng.uniform(0.7, 2))(piece))


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Stripes, checks, tiles of noise, smooth noise, or flat colour; in colours, 512²."""
    side, period = 512, int(rng.integers(8, 300))
    y, x = np.mgrid[:side, :side]
    tile = rng.normal(size=(period, period))
    planes = [
        np.sin(2 * np.pi * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)) / period),
        ((x // period + y // period) % 2).astype(float),
        np.tile(tile, (side // period + 1,) * 2)[:side, :side],
        np.tile(cv2.GaussianBlur(tile, (0, 0), period / 30), (side // period + 1,) * 2)[:side, :side] * period / 10,
        cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), rng.uniform(1, 20)) * 20,
        np.zeros((side, side)),
    ]
    plane = planes[rng.integers(len(planes))]
    colors = rng.uniform(40, 200, 3) + plane[..., None] * rng.uniform(-60, 60, 3)
    return np.clip(colors, 0, 255).astype(np.uint8)


def _portraits(people: int) -> Iterator[np.ndarray]:
    yield np.ascontiguousarray(skimage.data.astronaut())
    files: list[Path] = []
    if (faces := paths.london_faces()) is not None:
        files += sorted(faces.glob("*-neutral.jpg"))[::5]
    if (paintings := paths.portraits()) is not None:
        files = sorted(paintings.glob("*.jpg")) + files
    for file in files[: people - 1]:
        yield read_image(file)[..., :3]


def _at(picture: np.ndarray, side: int) -> np.ndarray:
    """With that longer side."""
    scale = side / max(picture.shape[:2])
    return _scaled(scale)(picture)


def _scaled(scale: float) -> Attack:
    def attack(image: np.ndarray) -> np.ndarray:
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

    return attack


def _jpeg(quality: int) -> Attack:
    def attack(image: np.ndarray) -> np.ndarray:
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])

    return attack


def _cropped(share: float) -> Attack:
    def attack(image: np.ndarray) -> np.ndarray:
        height, width = (round(length * share) for length in image.shape[:2])
        top, left = (image.shape[0] - height) // 3, (image.shape[1] - width) // 2  # where heads are
        return np.ascontiguousarray(image[top : top + height, left : left + width])

    return attack


def _turned(degrees: float) -> Attack:
    def attack(image: np.ndarray) -> np.ndarray:
        size = (image.shape[1], image.shape[0])
        turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, 1)
        return cv2.warpAffine(image, turn, size, flags=cv2.INTER_CUBIC)

    return attack


def _graded(image: np.ndarray) -> np.ndarray:
    """Another gamma, less contrast, paler."""
    values = (image / 255.0) ** 1.2 * 0.85 + 0.05
    pale = values.mean(axis=2, keepdims=True)
    return np.rint((pale + 0.75 * (values - pale)) * 255).astype(np.uint8)


def _noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 6, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _after(*attacks: Attack) -> Attack:
    def attack(image: np.ndarray) -> np.ndarray:
        for one in attacks:
            image = one(image)
        return image

    return attack


ATTACKS: dict[str, Attack] = {
    "none (PNG)": lambda image: image,
    "JPEG, quality 70": _jpeg(70),
    "JPEG, quality 50": _jpeg(50),
    "half the size": _scaled(0.5),
    "1.5 times the size": _scaled(1.5),
    "cropped to 60 % of each side": _cropped(0.6),
    "cropped to 60 %, then JPEG 70": _after(_cropped(0.6), _jpeg(70)),
    "1.5 times the size, then JPEG 70": _after(_scaled(1.5), _jpeg(70)),
    "0.8 of the size, then JPEG 80": _after(_scaled(0.8), _jpeg(80)),
    "half the size, then JPEG 70": _after(_scaled(0.5), _jpeg(70)),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "turned by 1.5°, then JPEG 80": _after(_turned(1.5), _jpeg(80)),
    "paler, darker, another gamma, then JPEG 80": _after(_graded, _jpeg(80)),
    "noise of 6 levels": _noisy,
    "made grey": lambda image: np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
}


def _moving(image: np.ndarray, matte: np.ndarray) -> Iterator[np.ndarray]:
    """A head that sways and nods and a mouth that moves, the shoulders still."""
    height, width = matte.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    head = cv2.GaussianBlur(matte, (0, 0), width / 20) * np.clip(1.3 - 1.3 * y / height, 0, 1)
    mouth = head * (np.abs(x / width - 0.5) < 0.2)
    for number in range(MOVIE_FRAMES):
        sway, nod = (width / 512 * far * math.sin(number / slow) for far, slow in ((8, 5), (5, 3.3)))
        speaks = width / 512 * 3 * np.sin(y * 512 / width / 25 + number)
        yield cv2.remap(
            image, x + head * sway, y + head * nod + mouth * speaks, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )


def _movies(frames: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    good = _h264(frames, 16)
    middle = MOVIE_FRAMES // 2
    fair = _h264(frames, 28)
    return {
        "H.264, CRF 28: the movie": fair,
        "H.264, CRF 28: one frame of it": fair[middle : middle + 1],
        "H.264, CRF 16, then CRF 28": _h264(good, 28),
        "H.264, CRF 16, 0.75 of the size, then CRF 28": _h264([_scaled(0.75)(frame) for frame in good], 28),
    }


def _h264(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """The frames as H.264, 4:2:0, brings them back."""
    height, width = (length // 2 * 2 for length in frames[0].shape[:2])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _psnr(image: np.ndarray, other: np.ndarray, weight: np.ndarray) -> float:
    squares = ((image.astype(np.float64) - other) ** 2).mean(axis=2)
    return 10 * math.log10(255**2 / ((squares * weight).sum() / weight.sum()))


if __name__ == "__main__":
    main()
