# SPDX-License-Identifier: GPL-3.0-or-later
"""What ships, on real clips: no worse in any column than when it was measured last."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.engines.warp import WarpEngine

from tests.paths import real_clips

CLIPS = real_clips()
SCORER = CLIPS.parents[1] / "tools" / "score_clips.py" if CLIPS else Path("score_clips.py")
LOOSER = 1.01  # what other releases of OpenCV and torch may alter, and a detail of the drawing

pytestmark = pytest.mark.skipif(
    CLIPS is None or not SCORER.is_file(), reason="the real clips are not beside the repository"
)

# The seven clips, the first frame the only reference. Every fourth frame takes a fourth of the time and has figures of
# its own, which are not those of all frames in docs/evaluation.md.
EVERY = 4
WARP = dict(head=0.0403, face=0.0296, mouth=0.0402, eyes=0.0489, ssim=0.7501, id=0.3679, lmk=1.46, flicker=0.0435)
SHIPPED = dict(head=0.0401, face=0.0289, mouth=0.0394, eyes=0.0470, ssim=0.7565, id=0.3903, lmk=1.40, flicker=0.0430)
# Of these the scorer's own detector decides. On one clip it is off by 13 pixels on the real frames, and errs otherwise on
# made ones whenever a few pixels change: 5.5 to 8.6 pixels where all other columns stay, which moves the mean by a fifth.
BY_DETECTOR = ("id", "lmk")


def render(engine: Engine, folder: Path) -> Path:
    """Every fourth frame of each clip, under its own number."""
    assert CLIPS is not None
    for clip in sorted(path.parent for path in CLIPS.glob("*/track.npz")):
        (folder / clip.name).mkdir(parents=True)
        with np.load(clip / "track.npz") as track:
            points, size = track["points"], (int(track["size"][0]), int(track["size"][1]))
        photo = cv2.cvtColor(cv2.imread(str(clip / "0001.jpg")), cv2.COLOR_BGR2RGB)
        portrait = engine.prepare([Reference(photo, points[0])])
        for index in range(0, len(points), EVERY):
            frame = engine.render(portrait, points[index][None], size, False)[0]
            cv2.imwrite(str(folder / clip.name / f"{index + 1:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def scores(engine: Engine, folder: Path) -> dict[str, float]:
    """The scorer's means over the clips of what the engine draws; of `BY_DETECTOR` the medians."""
    assert CLIPS is not None
    frames = render(engine, folder / "frames")
    for clip in sorted(path.parent for path in CLIPS.glob("*/track.npz")):
        real, made = folder / "real" / clip.name, folder / "made" / clip.name
        real.mkdir(parents=True)
        made.mkdir(parents=True)
        with np.load(clip / "track.npz") as track:
            np.savez(real / "track.npz", points=track["points"][::EVERY])
        for number, frame in enumerate(sorted(clip.glob("*.jpg"))[::EVERY], 1):
            shutil.copy(frame, real / f"{number:04d}.jpg")
            shutil.copy(frames / clip.name / f"{frame.stem}.png", made / f"{number:04d}.png")
    words = [str(SCORER), str(folder / "real"), str(folder / "made"), "--json", str(folder / "scores.json")]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    clips = json.loads((folder / "scores.json").read_text())
    means = clips.pop("mean")
    return means | {name: float(np.median([clip[name] for clip in clips.values()])) for name in BY_DETECTOR}


def worse(found: dict[str, float], than: dict[str, float], looser: float = LOOSER) -> dict[str, tuple[float, float]]:
    """The columns that are worse, with both figures."""
    return {
        name: (found[name], limit)
        for name, limit in than.items()
        if (found[name] * looser < limit if name == "ssim" else found[name] > looser * limit)
    }


@pytest.fixture(scope="module")
def warp(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return scores(WarpEngine(), tmp_path_factory.mktemp("warp"))


def test_warp_is_as_good_as_it_was(warp: dict[str, float]) -> None:
    assert not worse(warp, WARP)


def test_what_ships_is_as_good_as_it_was_and_better_than_warp(
    warp: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    shipped = scores(FewshotEngine("cpu", find_weights()), tmp_path)
    assert not worse(shipped, SHIPPED)
    assert all(shipped[name] < warp[name] for name in ("face", "mouth", "eyes"))
