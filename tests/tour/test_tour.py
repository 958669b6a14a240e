# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the tour through the real Blender desktop program, where there is one with a screen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import run  # noqa: E402
from pictures import FROM_ZIP  # noqa: E402

DOCS = HERE.parents[1] / "docs"
GUIDES = ("getting-started", "animating", "capture", "compositing", "trouble")


@pytest.mark.timeout(run.LIMIT_SECONDS + 400)
def test_from_an_empty_scene_to_a_playing_portrait(tmp_path: Path) -> None:
    lacks = run.missing(run.find_blender())
    if lacks:
        pytest.skip("; ".join(lacks))
    pytest.importorskip("portrait_server")
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py"), "--output", str(tmp_path), "--pictures", str(tmp_path / "pictures")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert 0 < report["figures"]["clicks_to_moving_frames"] <= 4
    assert {path.stem for path in tmp_path.glob("*.png")} >= set(report["pictures"])
    shown = {path.name for path in (tmp_path / "pictures").glob("*.jpg")}
    assert pictures_of_the_guides() <= shown | FROM_ZIP, "the guides show a picture that the tour does not take"


def test_the_guides_pictures_are_there() -> None:
    there = {path.name for path in (DOCS / "pictures").glob("*.jpg")}
    assert pictures_of_the_guides() == there, "each picture is shown somewhere, and none is missing"
    assert sum(path.stat().st_size for path in (DOCS / "pictures").glob("*.jpg")) < 3e6


def pictures_of_the_guides() -> set[str]:
    pages = [DOCS.parent / "README.md", *(DOCS / f"{name}.md" for name in GUIDES)]
    words = " ".join(page.read_text(encoding="utf-8") for page in pages)
    return {part.split(")")[0].split("/")[-1] for part in words.split("](")[1:] if "pictures/" in part.split(")")[0]}
