# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders of a photo, of a shot and of a farm job, met by misfortune at a chance moment: a rerun gives the same frames, and
no process, socket or file is left over.

Each kind of misfortune happens once; PORTRAIT_CHAOS_ROUNDS says how often instead (1), PORTRAIT_CHAOS_SEED at which
moments (1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from tests.small_disk import small_disk
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POSIX signals and Linux's /proc")

ROUNDS = int(os.environ.get("PORTRAIT_CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("PORTRAIT_CHAOS_SEED", "1"))
FRAMES = 24
AHEAD = 2
"""Frames that a render makes of which nobody has read yet: it says a line of each, of which its pipe holds one, and waits."""
LONG_FOLDER = Path(*["frames" * 40] * 9)
"""Of which one line fills more than half of a pipe of that many bytes: so a render is in its middle however late it is met."""
PIPE_BYTES = 4096
SIDE = 96
SMALL_DISK = "1m"


@dataclass
class Place:
    """Where renders run, and what they should make.

    Attributes:
        folder: of the photo, the shot, the job and the tracks.
        scratch: of temporary files, logs and sockets.
        whole: by what is rendered, the frames that a render makes which nothing befalls.
    """

    folder: Path
    scratch: Path
    whole: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        return self.scratch / "tmp"

    def commands(self) -> dict[str, list[object]]:
        """What is rendered, and by which command."""
        engine = ["--engine", "warp", "--device", "cpu"]
        photo = ["--reference", self.folder / "photo.png", "--reference-points", self.folder / "points.npz"]
        plate = ["--plate", self.folder / "plate", "--plate-points", self.folder / "found.npz"]
        track = ["--track", self.folder / "track.npz"]
        return {
            "photo": ["render", *engine, *photo, *track],
            "shot": ["render", *engine, *plate, *track],
            "job": ["job", "render", self.folder / "job", "--device", "cpu", "--frames", f"1-{FRAMES}"],
        }

    def run(self, *command: object) -> subprocess.Popen[bytes]:
        # Without the networks' weights a server starts within a second; `warp` needs none.
        environment = os.environ | {
            "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.scratch), "XDG_RUNTIME_DIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1", "TALKING_PORTRAITS_WEIGHTS": str(self.folder / "none"),
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "portrait_server", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, pipesize=PIPE_BYTES, env=environment,
        )  # fmt: skip

    def render(self, subject: str, output: Path) -> subprocess.Popen[bytes]:
        return self.run(*self.commands()[subject], "--output", output)

    def finished(self, subject: str, output: Path) -> str:
        """Renders to the end; returns what was said."""
        render = self.render(subject, output)
        said, errors = render.communicate(timeout=PATIENCE_SECONDS)
        assert render.returncode == 0, errors.decode()
        return said.decode()

    def processes(self) -> dict[int, list[bytes]]:
        """All that were started from here and live, with their words."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")
        return found

    def servers(self) -> list[int]:
        return [pid for pid, words in self.processes().items() if b"serve" in words]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("chaos")
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    (folder / "plate").mkdir()
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / "plate" / f"{number:04}.png"), np.roll(photo[..., ::-1], number, 1))
    chance = np.random.default_rng(1)
    points = chance.uniform(0.3 * SIDE, 0.7 * SIDE, (1, LANDMARK_COUNT, 3)).astype(np.float32)
    LandmarkTrack(points, (SIDE, SIDE)).save(folder / "points.npz")
    still = np.repeat(points, FRAMES, axis=0)
    LandmarkTrack(still, (SIDE, SIDE)).save(folder / "found.npz")
    moved = still.copy()
    moved[:, :, 0] += 3 * np.sin(np.arange(FRAMES))[:, None]
    LandmarkTrack(moved, (SIDE, SIDE)).save(folder / "track.npz")
    place = Place(folder, folder)
    place.temporary.mkdir()
    command = ["--engine", "warp", "--reference", folder / "photo.png", "--reference-points", folder / "points.npz"]
    job = place.run("job", "write", folder / "job", *command, "--track", folder / "track.npz")
    _, errors = job.communicate(timeout=PATIENCE_SECONDS)
    assert not job.returncode, errors.decode()
    for subject in place.commands():
        place.finished(subject, folder / f"whole {subject}")
        place.whole[subject] = signed_frames(folder / f"whole {subject}")
        assert sorted(place.whole[subject]) == [frame_path(Path(), number).name for number in range(1, FRAMES + 1)]
    return place


@dataclass
class Moment:
    """A render that stands still, at its start or after one of its frames."""

    client: subprocess.Popen[bytes]
    place: Place
    output: Path
    chance: random.Random

    def signal_server(self, number: int) -> None:
        for pid in self.place.servers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def some_frame(self) -> list[Path]:
        frames = sorted(self.output.glob("[0-9]*.png"))
        return self.chance.sample(frames, min(1, len(frames)))


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


def server_stopped(now: Moment) -> None:
    """For good: its client gives it up after a while of silence, and starts another."""
    now.signal_server(signal.SIGSTOP)


def no_file_grows(now: Moment) -> None:
    """No file of the client's can grow beyond a few bytes any more."""
    import resource

    resource.prlimit(now.client.pid, resource.RLIMIT_FSIZE, (100, 100))


def disk_filled(now: Moment) -> None:
    """The disk on which frames, temporary files and logs lie: see `small_disk`."""
    with (now.place.scratch / "ballast").open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def frames_removed(now: Moment) -> None:
    for path in now.some_frame():
        path.unlink()


def frames_damaged(now: Moment) -> None:
    for path in now.some_frame():
        whole = path.read_bytes()
        data = bytearray(whole)
        data[now.chance.randrange(len(data))] ^= 1 + now.chance.randrange(255)
        path.write_bytes(now.chance.choice((bytes(data), whole[: len(whole) // 2], b"", whole + b"more")))


def folder_emptied(now: Moment) -> None:
    for path in now.output.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


Misfortune = Callable[[Moment], None]
MISFORTUNES: tuple[Misfortune, ...] = (
    client_killed, client_ended, client_interrupted, server_killed, server_ended, both_killed,
    server_stopped_and_both_killed, no_file_grows, disk_filled, frames_removed, frames_damaged, folder_emptied,
)  # fmt: skip
LONG_MISFORTUNES: tuple[Misfortune, ...] = (server_stopped,)
"""They take half a minute each: in long turns alone."""


FATAL = (client_killed, client_ended, client_interrupted, both_killed, no_file_grows, disk_filled)
"""No render ends well that they meet."""


def rounds() -> Iterator[tuple[Misfortune, str, int]]:
    """Each misfortune as often as it shall happen, to renders of all kinds by turns."""
    for number in range(ROUNDS):
        for index, misfortune in enumerate(MISFORTUNES + LONG_MISFORTUNES * (ROUNDS > 1)):
            yield misfortune, ("photo", "shot", "job")[(number + index) % 3], number


@pytest.mark.parametrize(
    ("misfortune", "subject", "number"), list(rounds()), ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_rerun_mends_all(place: Place, tmp_path: Path, misfortune: Misfortune, subject: str, number: int) -> None:
    chance = random.Random(f"{SEED} {misfortune.__name__} {number}")
    with contextlib.ExitStack() as stack:
        if misfortune is disk_filled:
            stack.enter_context(small_disk(tmp_path / "disk", SMALL_DISK))
        else:
            (tmp_path / "disk").mkdir()
        here = Place(place.folder, tmp_path / "disk", place.whole)
        here.temporary.mkdir()
        output = here.scratch / LONG_FOLDER
        output.mkdir(parents=True)
        render = here.render(subject, output)
        stop_at_a_moment(render, here, chance.randrange(FRAMES - AHEAD))
        misfortune(Moment(render, here, output, chance))
        os.kill(render.pid, signal.SIGCONT)
        _, errors = render.communicate(timeout=PATIENCE_SECONDS)
        assert b"Traceback" not in errors
        assert render.returncode or misfortune not in FATAL
        with contextlib.suppress(FileNotFoundError):
            (here.scratch / "ballast").unlink()
        said = here.finished(subject, output)
        assert said.count("Saved: ") == FRAMES
        assert signed_frames(output) == place.whole[subject]
        wait_until(lambda: not here.processes(), note=lambda: f"left: {here.processes()}")
        sweep_folders(here.temporary)  # as whoever comes next does with what a server that died last could not
        assert not leftovers(here.temporary)


def stop_at_a_moment(render: subprocess.Popen[bytes], place: Place, count: int) -> None:
    """Stops it after as many frames, or `AHEAD` more; with 0, as soon as it has begun to do something."""
    if count:
        wait_for_frames(render, count)
    else:
        wait_until(
            lambda: (
                render.poll() is not None
                or any(place.temporary.iterdir())
                or any((place.scratch / LONG_FOLDER).iterdir())
            )
        )
    os.kill(render.pid, signal.SIGSTOP)


def wait_for_frames(render: subprocess.Popen[bytes], count: int) -> None:
    assert render.stdout is not None
    for line in render.stdout:
        count -= line.startswith(b"Saved: ")
        if count == 0:
            return
    raise AssertionError(render.communicate()[1].decode())


def leftovers(folder: Path) -> list[Path]:
    """What lies in a folder for temporary files. Python itself tries whether it can write there, and a process that is killed
    in that moment leaves its file."""
    tried = re.compile(r"[a-z0-9_]{8}")
    left = sorted(folder.rglob("*"))
    return [path for path in left if not (path.is_file() and tried.fullmatch(path.name) and path.stat().st_size <= 4)]


def test_a_small_disk_gets_full(tmp_path: Path) -> None:
    """What `disk_filled` relies on."""
    with small_disk(tmp_path / "disk", SMALL_DISK):
        with pytest.raises(OSError) as raised:
            (tmp_path / "disk" / "file").write_bytes(bytes(1 << 22))
        assert raised.value.errno == errno.ENOSPC
