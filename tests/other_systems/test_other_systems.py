# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that differ by system, under simulated ones (sitecustomize.py beside this): their own tests, and a render.

What a simulation cannot show, the systems' own programs and drivers, nobody has run: README, "Where it was tried".
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from portrait_shared.protocol.connection import default_connection_file
from portrait_shared.track import LandmarkTrack

from tests.soak.faces import landmarks, photo, speech

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("win32", "darwin")
PLATFORM_PARTS = (
    "tests/shared",
    "tests/server/service/test_door.py",
    "tests/server/service/test_service_doors.py",
    "tests/server/service/test_service_life.py",
    "tests/server/service/test_single.py",
)
SIDE = 128
CODE_PAGES = ("cp437", "cp932", "cp1252")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="simulates other systems on Linux")


def environment(system: str, **more: str) -> dict[str, str]:
    paths = [Path(__file__).parent, ROOT, ROOT / "server", ROOT / "shared"]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "TALKING_PORTRAITS_TEST_SYSTEM": system,
        "PYTHONWARNDEFAULTENCODING": "1",
        **more,
    }


def run(system: str, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment(system, **more), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_our_code_alone_sees_the_other_system(system: str, tmp_path: Path) -> None:
    program = "\n".join(
        (
            "import os, subprocess, sys",
            "from portrait_shared.files import locks",
            "from portrait_shared.protocol.connection import default_connection_file",
            "assert sys.platform == 'linux' and os.getuid() >= 0",
            "print(default_connection_file())",
        )
    )
    done = run(system, "-c", program, HOME=str(tmp_path), XDG_RUNTIME_DIR="")
    said = done.stdout.decode()
    assert done.returncode == 0, said
    assert ("AppData/Local" if system == "win32" else "Library/Caches") in said
    assert said.strip() != str(default_connection_file())


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_parts_that_differ_hold(system: str) -> None:
    done = run(system, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLATFORM_PARTS)
    said = done.stdout.decode(errors="replace")
    print(said)
    assert done.returncode == 0, said[-4000:]


@pytest.mark.parametrize("system", SYSTEMS)
def test_frames_are_the_same_and_verified(system: str, tmp_path: Path) -> None:
    """A server by encrypted loopback on Windows and by a socket on macOS, files, locks and keys, to the end."""
    reference, rest, track = tmp_path / "photo.png", tmp_path / "rest.npz", tmp_path / "müde.npz"
    Image.fromarray(photo(SIDE)).save(reference)
    LandmarkTrack(landmarks(SIDE)[None], (SIDE, SIDE), 24.0).save(rest)
    LandmarkTrack(speech(SIDE, 3), (SIDE, SIDE), 24.0).save(track)
    frames = {}
    for name in ("linux", system):
        folder = tmp_path / name
        words = ["render", "--reference", reference, "--reference-points", rest, "--track", track, "--output", folder]
        done = run("" if name == "linux" else name, "-m", "portrait_server", *map(str, words), "--engine", "warp")
        assert done.returncode == 0, done.stdout.decode(errors="replace")
        frames[name] = [Image.open(path).tobytes() for path in sorted(folder.glob("0*.png"))]
        assert len(frames[name]) == 3
        done = run("" if name == "linux" else name, "-m", "portrait_server", "verify", str(folder))
        assert done.returncode == 0, done.stdout.decode(errors="replace")
    assert frames["linux"] == frames[system]


@pytest.mark.parametrize("page", CODE_PAGES)
def test_names_that_a_code_page_lacks_are_said_all_the_same(page: str, tmp_path: Path) -> None:
    missing = tmp_path / "Zoë–写真–😀.png"
    words = ("-m", "portrait_server", "landmarks", str(missing), "--output", str(tmp_path / "track.npz"))
    done = run("win32", *words, PYTHONIOENCODING=page)
    said = done.stdout.decode(page)
    assert done.returncode == 1 and "Traceback" not in said and "Zo" in said
