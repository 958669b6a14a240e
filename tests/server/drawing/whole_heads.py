# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a head that the engine `warp` turns is from the same head as it really looks from there.

Rendered heads with MakeHuman's hair are the truth: each is photographed from in front, and turned under the same light
before the same background, its body still. Pictures and measuring are apart, so that any version of the engine can be
measured on the same heads:

    python -m tests.server.drawing.whole_heads render FOLDER
    python -m tests.server.drawing.whole_heads measure FOLDER       (in another checkout, for that one's engine)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import cv2
import numpy as np
import skimage.data
from portrait_server.engines import warp
from portrait_server.engines.base import Reference

from tests import paths

TURNS: Final = {
    "yaw 30": ((-30, 0), (30, 0)),
    "yaw 45": ((-45, 0), (45, 0)),
    "pitch 20": ((0, -20), (0, 20)),
}
"""Pairs of turns by name: yaw and pitch in degrees."""

_SIDE: Final = 512
_DISTANCE: Final = 110.0  # centimetres
_PIXELS: Final = 10.5  # a centimetre at that distance: a head of about 250
_MIDDLE: Final = np.array([256.0, 262.0])
_SAME_PLACE: Final = 0.5  # centimetres
_AROUND: Final = 0.05  # of the head's height: how far around it errors count, walls and ghosts among them


@dataclass(frozen=True)
class _Sitter:
    """Args: portrait: which official portrait is their skin; None for a painted one."""

    hair: str
    seed: int
    portrait: int | None
    background: str | None


_SITTERS: Final = (
    _Sitter("short02", 3, 77, "grass"),
    _Sitter("long01", 5, 101, None),
    _Sitter("bob02", 8, None, "brick"),
    _Sitter("short04", 12, 410, None),
    _Sitter("ponytail01", 21, 256, "gravel"),
    _Sitter("afro01", 30, None, None),
)


def missing() -> str | None:
    """Why heads cannot be rendered here; None where they can."""
    if None in (paths.head_model(), paths.makehuman(), paths.congress_portraits()):
        return "the head model, the hairs or the portraits of skins are not beside the repository"
    return None


def render_heads(folder: Path) -> None:
    """Writes HAIR.npz for every sitter: pictures, landmarks, matte, and where the head is.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where there is no OpenGL.
    """
    for sitter, arrays in _heads(_SITTERS):
        np.savez(folder / f"{sitter.hair}.npz", **arrays)


def exact_heads(hairs: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
    """Some sitters' pictures and landmarks, and by ``YAW PITCH`` also `flow` (S, S, 2), where each pixel lies in the picture
    from in front, `rest` (S, S, 3), its place on the neutral head in centimetres, and `seen` (S, S) bool, whether the
    picture from in front shows it.

    Raises:
        PortraitError: as `render_heads`.
    """
    return (arrays for _, arrays in _heads([each for each in _SITTERS if each.hair in hairs], exact=True))


def _heads(sitters: Sequence[_Sitter], exact: bool = False) -> Iterator[tuple[_Sitter, dict[str, np.ndarray]]]:
    from portrait_server.corpora.rendered.head_model import HeadModel
    from portrait_server.corpora.rendered.renderer import Renderer
    from portrait_server.corpora.rendered.skin_regions import regions_of
    from portrait_server.corpora.rendered.wardrobe import Wardrobe

    model, renderer = HeadModel.load(paths.head_model()), Renderer()
    wardrobe, regions = Wardrobe.load(paths.makehuman() / "meshes"), regions_of(model)
    for sitter in sitters:
        rng = np.random.default_rng(sitter.seed)
        person = _person(sitter, model, regions, wardrobe, rng)
        yield sitter, _pictures(person, renderer, _light(rng), _background(sitter, rng), exact)


def _person(sitter: _Sitter, model: Any, regions: Any, wardrobe: Any, rng: np.random.Generator) -> Any:
    from portrait_server.corpora.build import cut
    from portrait_server.corpora.rendered.head_model import Part
    from portrait_server.corpora.rendered.person import Person
    from portrait_server.corpora.rendered.skins import fit_head, skin_from
    from portrait_server.corpora.rendered.wardrobe import Wardrobe
    from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
    from portrait_server.media.images import read_image

    skin = None
    if sitter.portrait is not None:
        image = read_image(sorted(paths.congress_portraits().glob("*.jpg"))[sitter.portrait])
        face = cut(image, MediaPipeDetector().detect(image)[0])
        skin = skin_from(face, fit_head(model, face.points), model, regions)
    worn = Wardrobe({sitter.hair: wardrobe.hairs[sitter.hair]}, wardrobe.body)
    while True:
        person = Person(model, regions, skin, rng, worn)
        if (person.part == Part.HAIR).any() and not (person.part == Part.GLASSES).any():
            return person


def _pictures(person: Any, renderer: Any, light: Any, background: np.ndarray, exact: bool) -> dict[str, np.ndarray]:
    from portrait_server.corpora.rendered.head_model import Part
    from portrait_server.corpora.rendered.performance import Performance
    from portrait_server.corpora.rendered.renderer import camera_matrix
    from portrait_server.geometry.pose import rotation_of

    camera = camera_matrix(_PIXELS * _DISTANCE, _MIDDLE, np.eye(2, 3), _SIDE)
    arrays, front, shown = {}, None, None
    for yaw, pitch in ((0, 0), *(turn for pair in TURNS.values() for turn in pair)):
        head = rotation_of(np.radians([0, yaw, 0])) @ rotation_of(np.radians([pitch, 0, 0]))
        posed = person.posed(Performance({}, np.zeros((2, 2)), head, np.eye(3), np.zeros(2)), _DISTANCE)
        drawn = renderer.picture(person, posed, camera, light, _SIDE)
        front = front or posed
        place, surface = renderer.places(person, posed, front, camera, camera, _SIDE)
        shown = surface if shown is None else shown
        flat = posed.landmarks[:, :2] / posed.landmarks[:, 2:] * _PIXELS * _DISTANCE + _MIDDLE
        key = f"{yaw} {pitch}"
        arrays[f"{key} picture"] = np.round(drawn.color + background * (1 - drawn.alpha[..., None])).astype(np.uint8)
        arrays[f"{key} points"] = np.column_stack([flat, (posed.landmarks[:, 2] - _DISTANCE) * _PIXELS])
        arrays[f"{key} part"] = surface[..., 3].astype(np.int8) - 1
        if exact:
            there = cv2.remap(shown, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            near = np.linalg.norm(there[..., :3] - surface[..., :3], axis=-1) < _SAME_PLACE
            arrays |= {
                f"{key} flow": place,
                f"{key} rest": surface[..., :3],
                f"{key} seen": near & (surface[..., 3] > 0),
            }
        if (yaw, pitch) == (0, 0):
            arrays["matte"] = drawn.alpha
    assert all(array.size for array in arrays.values()) and int(Part.CLOTH) == _CLOTH
    return arrays


def _light(rng: np.random.Generator) -> Any:
    """Soft, since what light does to a turned head no picture from in front tells."""
    from portrait_server.corpora.rendered.lights import lamps

    aside = rng.uniform(-0.7, 0.7)
    ways = np.array([[np.sin(aside), -0.5, -np.cos(aside)], [-np.sin(aside), -0.2, -1], [0, -1, 0.3]])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    colors = np.array([[0.45], [0.2], [0.15]]) * np.exp(rng.normal(0, 0.05, 3))
    return lamps(ways, colors, np.full(3, 0.5), np.full(3, 0.36), 1.05)


def _background(sitter: _Sitter, rng: np.random.Generator) -> np.ndarray:
    if sitter.background is not None:
        grey = getattr(skimage.data, sitter.background)().astype(float)[..., None]
        return np.clip(grey * rng.uniform(0.5, 1.1, 3), 0, 255)
    first, second = rng.uniform(60, 200, (2, 3))
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    return first + (second - first) * (0.6 * x + 0.4 * y)[..., None]


_CLOTH: Final = 6  # of `Part`, which older versions lack


def errors(folder: Path) -> dict[str, dict[str, float]]:
    """Of each of `TURNS`, by hair: the mean absolute error, 0 to 1, of the whole head as `warp` draws it.

    The whole head is what the truth shows of hair, face, ears and neck, and what lies around it, but no clothes. Its
    matte and its landmarks, depths among them, are known.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in TURNS}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            arrays = dict(file)
        for name, both in zip(TURNS, _rendered(arrays), strict=True):
            found[name][path.stem] = float(np.mean(both))
    return found


def _rendered(arrays: dict[str, np.ndarray]) -> Iterator[list[float]]:
    engine = warp.WarpEngine()
    with patch.object(warp, "person_matte", lambda image, *_: arrays["matte"]):
        portrait = engine.prepare([Reference(arrays["0 0 picture"], arrays["0 0 points"].astype(np.float32))])
    for pair in TURNS.values():
        keys = [f"{yaw} {pitch}" for yaw, pitch in pair]
        points = np.stack([arrays[f"{key} points"] for key in keys]).astype(np.float32)
        still = {"body": np.zeros((len(keys), 2), np.float32)} if _has_body(engine) else {}
        # Skins are photographs, whose own light turns with them, under lamps that do not: there light tells nothing.
        with patch.object(warp, "lit", lambda kernels, scene, moved: moved, create=True):
            frames = engine.render(portrait, points, (_SIDE, _SIDE), False, **still)
        yield [
            float(np.abs(frame.astype(float) - arrays[f"{key} picture"])[_whole(arrays[f"{key} part"])].mean() / 255)
            for key, frame in zip(keys, frames, strict=True)
        ]


def _has_body(engine: warp.WarpEngine) -> bool:
    """Whether this version's shoulders move at all."""
    return "body" in inspect.signature(engine.render).parameters


def _whole(part: np.ndarray) -> np.ndarray:
    head = (part >= 0) & (part != _CLOTH)
    reach = 2 * round(_AROUND * float(np.ptp(np.flatnonzero(head.any(1))))) + 1
    around = cv2.dilate(head.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0
    return around & (part != _CLOTH)


if __name__ == "__main__":
    if sys.argv[1] == "render":
        render_heads(Path(sys.argv[2]))
    else:
        for turn, by_hair in errors(Path(sys.argv[2])).items():
            print(
                f"{turn:9s} {np.mean(list(by_hair.values())):.4f}", {hair: round(e, 4) for hair, e in by_hair.items()}
            )
