# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that ship are never worse than the draft they mend: on people kept apart of each data set, column by column.

Of each set a fifth of its people was never trained on: those whose names come first by SHA-256. Of a few of them crops are
made here as `portrait corpus crops` makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch
from portrait_server.corpora.build import cut
from portrait_server.corpora.crops import make_crops, read_crops
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.reposed_pairs import ReposedPairs
from portrait_server.corpora.sample import Corpus
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.corpora.videos import TalkingVideos
from portrait_server.detectors.base import Detector
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.geometry.crops import LEFT_EYE, MOUTH, RIGHT_EYE
from portrait_server.media.images import read_image
from portrait_server.media.video import VideoReader
from portrait_server.networks import painters
from portrait_server.networks.painter import Painter
from portrait_server.networks.painters import Painters
from portrait_server.training.measures import ERRORS, measure
from portrait_server.training.perceptual import PerceptualLoss

from tests import paths
from tests.server.training.made_crops import needs_perceptual, pairs

_BLUNTER = 0.065  # how much further from the target's sharpness than the draft's, of 1, a column may be
_EVERY = 12  # of a clip's frames one in so many is looked at

Photograph = tuple[str, Face]  # PERSON/PICTURE
Figures = dict[str, dict[str, float]]


def worse_columns(figures: Figures) -> list[str]:
    """In which a painter is worse than its draft."""
    draft, made = figures["draft"], figures["painter"]
    found = [column for column in ERRORS if made[column] > draft[column]]
    blunter = ("sharp", "opening_sharp")
    return found + [column for column in blunter if abs(1 - made[column]) > abs(1 - draft[column]) + _BLUNTER]


def kept_apart(files: dict[str, list[Path]], salt: str, count: int) -> dict[str, list[Path]]:
    """Of people's files those of people that nothing was learnt from: `count` of them."""
    order = sorted(files, key=lambda person: hashlib.sha256(f"{salt}/{person}".encode()).hexdigest())
    return {person: files[person] for person in order[: -(-len(order) // 5)][:count]}


def people_of(folder: Path, person: Callable[[Path], str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".mpg", ".mp4")):
        found.setdefault(person(path.relative_to(folder)), []).append(path)
    return found


def photographs(people: dict[str, list[Path]], detector: Detector) -> Iterator[Photograph]:
    for person, files in people.items():
        for path in files:
            image = read_image(path)
            yield f"{person}/{path.stem}", cut(image, detector.detect(image)[0])


def moments(people: dict[str, list[Path]], detector: Detector) -> Iterator[Photograph]:
    """Of each person's first clip some frames."""
    for person, files in people.items():
        with VideoReader(files[0]) as video:
            for number, image in enumerate(video):
                if number % _EVERY == 0:
                    yield f"{person}/{number}", cut(image, detector.detect(image)[0])


def shards(found: Iterator[Photograph], folder: Path) -> Path:
    names, faces = zip(*found, strict=True)
    write_shard(folder / "00000.shard", [(n, 0, face) for n, face in enumerate(faces)], names, {})
    return folder


def speech(detector: Detector, folder: Path) -> Corpus:
    people = people_of(_there(paths.grid_clips(), "the speaking people"), lambda path: path.parts[0])
    return TalkingVideos(shards(moments(kept_apart(people, "grid", 3), detector), folder), augmented=False)


def smiles(detector: Detector, folder: Path) -> Corpus:
    return TalkingVideos(shards(_smiling(detector), folder), augmented=False)


def turned_smiles(detector: Detector, folder: Path) -> Corpus:
    return ReposedPairs(shards(_smiling(detector), folder), augmented=False, detected=True)


def portraits(detector: Detector, folder: Path) -> Corpus:
    people = people_of(_there(paths.congress_portraits(), "the portraits"), lambda path: path.stem)
    found = shards(photographs(kept_apart(people, "congress", 12), detector), folder)
    return ReposedPhotos(found, augmented=False, detected=True)


def _smiling(detector: Detector) -> Iterator[Photograph]:
    people = people_of(_there(paths.london_faces(), "the smiling people"), lambda path: path.name[:3])
    return photographs(kept_apart(people, "london", 8), detector)


def _there(folder: Path | None, what: str) -> Path:
    if folder is None:
        pytest.skip(f"{what} are not beside the repository")
    return folder


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Painters:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return painters.load(find_weights())[0]


@needs_perceptual
@pytest.mark.parametrize(
    ("make", "count", "side"),
    [(speech, 24, 256), (smiles, 16, 496), (turned_smiles, 16, 496), (portraits, 24, 256)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_column_is_worse_than_the_draft_s(
    make: Callable[[Detector, Path], Corpus],
    count: int,
    side: int,
    shipped: Painters,
    detector: Detector,
    tmp_path: Path,
) -> None:
    corpus = make(detector, tmp_path)
    perceptual = PerceptualLoss()
    make_crops(corpus, tmp_path / "crops", count, 1, side, seed=1)
    mouths = measure(shipped.mouth, MOUTH, read_crops(tmp_path / "crops", MOUTH), perceptual)
    assert worse_columns(mouths) == [], mouths
    right, left = (read_crops(tmp_path / "crops", crop) for crop in (RIGHT_EYE, LEFT_EYE))
    eyes = measure(shipped.eye, RIGHT_EYE, type(right).joined([right, left.as_right_eyes()]), perceptual)
    assert worse_columns(eyes) == [], eyes
    # They are there for what the photograph lacks: between the lips it must show.
    assert mouths["painter"]["opening"] < 0.9 * mouths["draft"]["opening"], mouths


@needs_perceptual
def test_what_does_harm_is_told() -> None:
    held, perceptual, harm = pairs(3), PerceptualLoss(), Painter(8)
    nothing = measure(harm, MOUTH, held, perceptual)
    assert worse_columns(nothing) == []
    with torch.no_grad():
        harm.end.bias.fill_(-0.5)  # it darkens what should be brighter
    assert {"middle", "opening", "rim"} <= set(worse_columns(measure(harm, MOUTH, held, perceptual)))
    for part in (held.draft, held.target):
        part[:] = [cv2.resize(cv2.resize(p, (36, 36)), (144, 144), interpolation=cv2.INTER_NEAREST) for p in part]
    blurred = type(held)(**{**vars(held), "draft": held.target.copy()})
    blurred.draft[:] = [cv2.GaussianBlur(picture, (0, 0), 4) for picture in held.target]
    sharp = {
        "draft": nothing["draft"] | {"sharp": 1.0},
        "painter": measure(Painter(8), MOUTH, blurred, perceptual)["draft"],
    }
    assert "sharp" in worse_columns(sharp)
