# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits what tells photographs of faces from paintings and drawings, and says how well it does (docs/trust.md).

    python -m tests.benchmarks.photographs DATA [--write]

DATA holds `us-congress-portraits`, `london-faces`, `grid-clips`, `portraits` (paintings) and `real-clips`; of the last
nothing is learnt, they only judge. Photographs become drawings by OpenCV's filters. All pictures are also taken through
what happens to pictures: smaller, softer, tinted, noisy, compressed. Takes some ten minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from portrait_server.detectors.registry import create_detector
from portrait_server.media.images import opaque, read_image
from portrait_server.media.video import VideoReader
from portrait_server.recognition import photograph
from portrait_server.recognition.photograph import surface_of
from portrait_shared.track import LandmarkTrack

_SEED: Final = 3
_PAINTING_LOOKS, _PHOTO_LOOKS = 14, 2
_EYES_APART: Final = (28, 40, 55, 80, 120)  # pixels, between their outer corners, that pictures are made smaller to
_STEADY: Final = 0.1  # added to the variances of 320 features, of which there are about a thousand samples
_BORDERS: Final = {"painting": 5.0, "drawing": 4.5}
"""Above every photograph that is learnt from; some films, which are not, come near."""


@dataclass(frozen=True)
class Sample:
    """One look at a picture. `of` is the picture, `kind` what it is, `used` whether it was taken through use."""

    of: str
    kind: str
    surface: np.ndarray
    used: bool = False


def samples(data: Path) -> Iterator[Sample]:
    """All of them."""
    rng = np.random.default_rng(_SEED)
    detector = create_detector("mediapipe")
    for kind, looks, pictures in (
        ("painting", _PAINTING_LOOKS, sorted((data / "portraits").glob("*.jpg"))),
        ("congress", _PHOTO_LOOKS, _some(sorted((data / "us-congress-portraits").glob("*.jpg")), 300, rng)),
        ("london", _PHOTO_LOOKS, _some(sorted((data / "london-faces").glob("*.jpg")), 100, rng)),
        ("grid", _PHOTO_LOOKS, sorted((data / "grid-clips").glob("*/*/*.mp*"))[::2]),
    ):
        for number, path in enumerate(pictures):
            image = _picture(path)
            if not (faces := detector.detect(image)):
                continue
            points = faces[0].points[:, :2]
            yield Sample(str(path), kind, surface_of(image, points))
            for _ in range(looks):
                yield Sample(str(path), kind, surface_of(*_used(image, points, rng)), True)
            if kind == "congress" and number % 3 == 0:
                name, draw = _DRAWINGS[number // 3 % len(_DRAWINGS)]
                yield Sample(str(path), f"drawing {name}", surface_of(draw(image, rng), points))
    for clip in sorted((data / "real-clips").iterdir()):
        track = LandmarkTrack.load(clip / "track.npz")
        for path, points in list(zip(sorted(clip.glob("*.jpg")), track.points, strict=True))[::5]:
            yield Sample(str(path), "clip", surface_of(_picture(path), points))


def discriminant(surfaces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(321,) Fisher's weights of features (N, 320) against others' (M, 320); what is added, last, is still 0."""
    middle, spread = others.mean(0), others.std(0) + 1e-3
    scaled = (others - middle) / spread
    within = np.cov(scaled.T) + _STEADY * np.eye(len(middle))
    weights = np.linalg.solve(within, ((surfaces - middle) / spread).mean(0))
    weights /= np.sqrt(weights @ within @ weights)
    return np.append(weights / spread, -(middle / spread) @ weights)


def scores(weights: np.ndarray, surfaces: np.ndarray) -> np.ndarray:
    return surfaces @ weights[:-1] + weights[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="write the discriminants into the package")
    asked = parser.parse_args()
    found = list(samples(asked.data))
    of, kind = np.array([one.of for one in found]), np.array([one.kind for one in found])
    surface = np.stack([one.surface for one in found]).astype(float)
    photos = np.isin(kind, ("congress", "london", "grid"))
    columns = []
    for name, wanted in (("painting", kind == "painting"), ("drawing", np.char.startswith(kind, "drawing"))):
        weights = discriminant(surface[wanted], surface[photos])
        unseen = np.concatenate([
            scores(discriminant(surface[wanted & ~_alike(name, of, kind, left)], surface[photos]),
                   surface[wanted & _alike(name, of, kind, left)])
            for left in sorted(set((of if name == "painting" else kind)[wanted]))
        ])  # fmt: skip
        border = _BORDERS[name]
        told = {
            label: scores(weights, surface[group])
            for label, group in (("photographs", photos), ("films", kind == "clip"))
        }
        print(
            f"{name}: border {border}; {name}s that nothing was learnt from: median {np.median(unseen):.1f}, missed "
            f"{(unseen < border).mean():.1%}; of those learnt from {(scores(weights, surface[wanted]) < border).mean():.1%}; "
            + "; ".join(
                f"{label} up to {each.max():.1f}, false {(each >= border).mean():.2%}" for label, each in told.items()
            )
        )
        as_it_is = np.array([not one.used for one in found])
        print(f"  as they are: {np.round(scores(weights, surface[wanted & as_it_is]), 1)}")
        weights[-1] -= border
        columns.append(weights)
    if asked.write:
        np.save(Path(photograph.__file__).with_suffix(".npy"), np.stack(columns, 1).astype(np.float32))


def _alike(name: str, of: np.ndarray, kind: np.ndarray, left: str) -> np.ndarray:
    """All looks at one painting, or all drawings of one way to draw."""
    return (of if name == "painting" else kind) == left


def _some(paths: list[Path], count: int, rng: np.random.Generator) -> list[Path]:
    return [paths[number] for number in rng.permutation(len(paths))[:count]]


def _picture(path: Path) -> np.ndarray:
    if path.suffix == ".jpg":
        return opaque(read_image(path))
    with VideoReader(path) as video:
        return np.ascontiguousarray(next(iter(video))[..., :3])


def _used(image: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its points after what happens to pictures."""
    apart = np.linalg.norm(points[45] - points[36])
    scale = min(1.0, rng.choice([*_EYES_APART, apart]) / apart)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = (points + 0.5) * scale - 0.5
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4))
    light = image.astype(np.float32) / 255
    if rng.random() < 0.6:
        light **= rng.uniform(0.6, 1.7)
    if rng.random() < 0.6:
        light *= rng.uniform((0.85, 0.85, 0.65), (1.1, 1.05, 1.1)).astype(np.float32)
    if rng.random() < 0.5:
        grey = light.mean(2, keepdims=True)
        light = grey + (light - grey) * rng.choice([0, rng.uniform(0.3, 1.3)], p=[0.2, 0.8])
    if rng.random() < 0.3:
        light += rng.normal(0, rng.uniform(0.01, 0.05), (*light.shape[:2], 1)).astype(np.float32)
    image = np.clip(light * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.choice([15, 25, 40, 60, 80]))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(image), points


def _canvas(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weave = cv2.GaussianBlur(rng.normal(0, 40, image.shape[:2]).astype(np.float32), (0, 0), 0.8)[..., None]
    warm = cv2.xphoto.oilPainting(image, 3, 1) * np.float32([1, 0.92, 0.75])
    return np.clip(warm + weave / 2, 0, 255).astype(np.uint8)


def _poster(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (cv2.edgePreservingFilter(image, sigma_s=40, sigma_r=0.4) // 36 * 36 + 18).astype(np.uint8)


_DRAWINGS: Final[tuple[tuple[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]], ...]] = (
    ("in oil", lambda image, rng: cv2.xphoto.oilPainting(image, int(rng.choice([3, 4, 5])), 1)),
    ("with outlines", lambda image, rng: cv2.stylization(image, sigma_s=40, sigma_r=0.4)),
    ("in pencil", lambda image, rng: cv2.cvtColor(
        cv2.pencilSketch(image, sigma_s=40, sigma_r=0.07, shade_factor=0.04)[0], cv2.COLOR_GRAY2RGB)),
    ("in crayon", lambda image, rng: cv2.pencilSketch(image, sigma_s=40, sigma_r=0.07, shade_factor=0.04)[1]),
    ("as a poster", _poster),
    ("on canvas", _canvas),
)  # fmt: skip


if __name__ == "__main__":
    main()
