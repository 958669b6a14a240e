# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render`, met by misfortune at a chance moment: a rerun gives the same bytes, and nothing is left over.

Each kind of misfortune happens once; PORTRAIT_CHAOS_ROUNDS says how often instead (1), PORTRAIT_CHAOS_SEED at which
moments (1).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_shared.files.private_folders import sweep_folders
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.track import LandmarkTrack

from tests.signed_frames import signed_frames
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POSIX signals and Linux's /proc")

ROUNDS = int(os.environ.get("PORTRAIT_CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("PORTRAIT_CHAOS_SEED", "1"))
FRAMES = 24
SIDE = 96


@dataclass
class Place:
    """Where renders run: a photo, a track, a folder for temporary files of their own, and what they should make."""

    folder: Path
    whole: dict[str, bytes]

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def render(self, output: Path) -> subprocess.Popen[str]:
        # Without the networks' weights a server starts within a second; `warp` needs none.
        environment = os.environ | {
            "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.folder), "PYTHONUNBUFFERED": "1",
            "TALKING_PORTRAITS_WEIGHTS": str(self.folder / "none"),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "portrait_server", "render", "--engine", "warp", "--device", "cpu", "--output", output,
            "--reference", self.folder / "photo.png", "--reference-points", self.folder / "points.npz",
            "--track", self.folder / "track.npz",
        ]  # fmt: skip
        return subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def servers(self) -> list[int]:
        """Processes of servers that were started from here."""
        mark = f"{self.temporary}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue  # it has ended
            if b"serve" in words and any(word.startswith(mark) for word in words):
                found.append(int(entry.name))
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("chaos")
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    chance = np.random.default_rng(1)
    points = chance.uniform(0.3 * SIDE, 0.7 * SIDE, (1, LANDMARK_COUNT, 3)).astype(np.float32)
    LandmarkTrack(points, (SIDE, SIDE)).save(folder / "points.npz")
    moved = np.repeat(points, FRAMES, axis=0)
    moved[:, :, 0] += 3 * np.sin(np.arange(FRAMES))[:, None]
    LandmarkTrack(moved, (SIDE, SIDE)).save(folder / "track.npz")
    place = Place(folder, {})
    place.temporary.mkdir()
    render = place.render(folder / "whole")
    _, errors = render.communicate(timeout=PATIENCE_SECONDS)
    assert render.returncode == 0, errors
    place.whole = signed_frames(folder / "whole")
    assert len(place.whole) == FRAMES
    return place


@dataclass
class Moment:
    """A render that stands still after one of its frames."""

    client: subprocess.Popen[str]
    place: Place
    output: Path
    chance: random.Random

    def signal_server(self, number: int) -> None:
        for pid in self.place.servers():
            os.kill(pid, number)


def client_killed(now: Moment) -> None:
    now.client.kill()


def client_ended(now: Moment) -> None:
    now.client.terminate()


def client_interrupted(now: Moment) -> None:
    now.client.send_signal(signal.SIGINT)


def server_killed(now: Moment) -> None:
    now.signal_server(signal.SIGKILL)


def server_ended(now: Moment) -> None:
    now.signal_server(signal.SIGTERM)


def both_killed(now: Moment) -> None:
    now.signal_server(signal.SIGKILL)
    now.client.kill()


def server_stopped_and_both_killed(now: Moment) -> None:
    now.signal_server(signal.SIGSTOP)
    now.client.kill()
    now.signal_server(signal.SIGKILL)


def disk_filled(now: Moment) -> None:
    """No file of the client's can grow beyond a few bytes any more."""
    import resource

    resource.prlimit(now.client.pid, resource.RLIMIT_FSIZE, (100, 100))


def frames_removed(now: Moment) -> None:
    for path in now.chance.sample(sorted(now.output.glob("[0-9]*.png")), 1):
        path.unlink()


def frames_damaged(now: Moment) -> None:
    for path in now.chance.sample(sorted(now.output.glob("[0-9]*.png")), 1):
        data = bytearray(path.read_bytes())
        data[now.chance.randrange(len(data))] ^= 1 + now.chance.randrange(255)
        path.write_bytes(
            now.chance.choice((bytes(data), bytes(data)[: len(data) // 2], b"", path.read_bytes() + b"more"))
        )


def folder_emptied(now: Moment) -> None:
    for path in now.output.iterdir():
        path.unlink()


MISFORTUNES: tuple[Callable[[Moment], None], ...] = (
    client_killed, client_ended, client_interrupted, server_killed, server_ended, both_killed,
    server_stopped_and_both_killed, disk_filled, frames_removed, frames_damaged, folder_emptied,
)  # fmt: skip


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("misfortune", MISFORTUNES, ids=lambda misfortune: misfortune.__name__)
def test_a_rerun_mends_all(place: Place, tmp_path: Path, misfortune: Callable[[Moment], None], number: int) -> None:
    chance = random.Random(f"{SEED} {misfortune.__name__} {number}")
    output = tmp_path / "frames"
    render = place.render(output)
    wait_for_frames(render, chance.randrange(1, FRAMES))
    os.kill(render.pid, signal.SIGSTOP)
    misfortune(Moment(render, place, output, chance))
    os.kill(render.pid, signal.SIGCONT)
    render.communicate(timeout=PATIENCE_SECONDS)
    again = place.render(output)
    said, errors = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, errors
    assert said.splitlines()[-FRAMES:] and said.count("Saved: ") == FRAMES
    assert signed_frames(output) == place.whole
    wait_until(lambda: not place.servers(), note=lambda: "a server is left")
    sweep_folders(place.temporary)  # as whoever comes next does with what a server that died last could not
    assert not list(place.temporary.iterdir())


def wait_for_frames(render: subprocess.Popen[str], count: int) -> None:
    assert render.stdout is not None
    for line in render.stdout:
        count -= line.startswith("Saved: ")
        if count == 0:
            return
    raise AssertionError(render.communicate()[1])


def test_names_of_frames_are_those_of_the_track(place: Place) -> None:
    assert sorted(place.whole) == [frame_path(Path(), number).name for number in range(1, FRAMES + 1)]
