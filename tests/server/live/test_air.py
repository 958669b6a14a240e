# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait air`: rate, sizes, NDI by a library compiled here after its public header, and what it says without one."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.commands.air import even_size, send_all
from portrait_server.commands.camera import picture_rate
from portrait_server.live import ndi, ndi_library, virtual_camera
from portrait_server.live.air_output import fitted, name_on_air
from portrait_server.live.newest import Newest
from portrait_server.live.pacing import Pacer
from portrait_server.live.virtual_camera import VirtualCamera
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.raw_frames import header_of

from tests import ndi_stand_in
from tests.ndi_stand_in import needs_compiler, pixels_in
from tests.waiting import wait_until


@pytest.fixture(scope="session")
def ndi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library that stands for NDI's."""
    return ndi_stand_in.compile_into(tmp_path_factory.mktemp("ndi"))


@pytest.fixture
def heard(ndi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The stand-in is where NDI is looked for; gives the lines that it has written."""
    log = tmp_path / "ndi.txt"
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", str(ndi_folder))
    monkeypatch.setenv("NDI_STAND_IN_LOG", str(log))
    return lambda: log.read_text().splitlines() if log.exists() else []


def start(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "portrait_server", "air", *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def put(process: subprocess.Popen[bytes], pixels: np.ndarray) -> None:
    assert process.stdin is not None
    process.stdin.write(header_of(pixels) + pixels.tobytes())
    process.stdin.flush()


@needs_compiler
def test_the_newest_picture_goes_out_by_ndi_again_and_again(heard: Callable[[], list[str]]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (8, 16, 3), np.uint8)
    process = start("--to", "ndi", "--size", "16x16", "--fps", "29.97", "--name", 'Anna & "Co"')
    assert process.stdout is not None and process.stdin is not None
    assert json.loads(process.stdout.readline())["on"] == 'Anna & "Co" (AI-modified)'
    put(process, picture)
    wait_until(lambda: len(heard()) >= 8)  # the same picture goes on being sent
    clear = np.dstack([picture, np.full((8, 16), 7, np.uint8)])
    put(process, clear)
    wait_until(lambda: any("RGBA" in line for line in heard()))
    process.stdin.close()
    assert process.wait() == 0
    lines = heard()
    assert lines[0] == 'create Anna & "Co" (AI-modified)||0|0'
    length, timecode, told = lines[1].removeprefix("metadata ").split(" ", 2)
    assert int(length) == len(told.encode()) + 1 and timecode == str(2**63 - 1)
    assert "(AI-modified)" in told and "<ndi_product" in told and "Anna &amp;" in told
    assert lines[2] == f'frame 16 16 RGBX 2997 100 1.0000 1 {2**63 - 1} 64 <talking_portraits ai_modified="true"/>'
    first = pixels_in(lines[3], (16, 16))
    np.testing.assert_array_equal(first[4:12, :, :3], picture)  # in the middle, with bars
    assert not first[:4, :, :3].any() and not first[12:, :, :3].any() and (first[..., 3] == 255).all()
    last = max(number for number, line in enumerate(lines) if line.startswith("frame"))
    assert "RGBA" in lines[last]
    np.testing.assert_array_equal(pixels_in(lines[last + 1], (16, 16))[4:12], clear)
    assert lines[-2:] == ["send_destroy", "destroy"]


@needs_compiler
def test_it_ends_with_the_program_that_feeds_it(heard: Callable[[], list[str]]) -> None:
    feeder = [sys.executable, "-c", (
        "import subprocess, sys, os\n"
        "child = subprocess.Popen([sys.executable, '-m', 'portrait_server', 'air', '--to', 'ndi', '--size', '16x16'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nos.kill(os.getpid(), 9)\n"
    )]  # fmt: skip
    assert subprocess.run(feeder).returncode != 0
    wait_until(lambda: "destroy" in heard())


@needs_compiler
@pytest.mark.parametrize(
    ("data", "said"),
    [(b"GET / HTTP/1.1\r\n\r\n", "is no frame"), (header_of(np.zeros((4, 4, 3), np.uint8)), "within a frame")],
)
def test_what_is_no_frame_ends_it_with_a_sentence(heard: Callable[[], list[str]], data: bytes, said: str) -> None:
    process = start("--to", "ndi", "--size", "16x16")
    _, words = process.communicate(data)
    assert process.returncode == 1 and said in words.decode() and b"Traceback" not in words
    assert heard()[-1] == "destroy"


@needs_compiler
@pytest.mark.parametrize(
    ("variable", "said"), [("NDI_STAND_IN_REFUSES", "does not run on"), ("NDI_STAND_IN_FULL", "another source")]
)
def test_ndi_that_refuses_says_so(
    heard: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, "1")
    assert main(["air", "--to", "ndi"]) == 1
    assert said in capsys.readouterr().err


@needs_compiler
def test_ndi_that_is_there_is_listed(heard: Callable[[], list[str]], ndi_folder: Path) -> None:
    state = ndi.state()
    assert state.possible and Path(state.where).parent == ndi_folder and not state.reason


@pytest.mark.parametrize("content", [None, b"no library"])
def test_without_ndi_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", str(tmp_path))
    monkeypatch.delenv("NDI_RUNTIME_DIR_V5", raising=False)
    paths = [path for path in ndi_library.candidates() if path.parent == tmp_path]
    monkeypatch.setattr(ndi_library, "candidates", lambda: paths)  # a machine may really have it
    if content is not None:
        paths[0].write_bytes(content)
    assert main(["air", "--to", "ndi"]) == 1
    said = capsys.readouterr().err
    assert ("cannot be loaded" if content else "not installed") in said and "ndi.video" in said
    assert main(["air", "--list", "--json"]) == 0
    states = {state["to"]: state for state in json.loads(capsys.readouterr().out)}
    assert set(states) == {"virtual-camera", "ndi"} and not states["ndi"]["possible"] and states["ndi"]["remedy"]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32", "freebsd14"])
def test_ndi_is_looked_for_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", "six")
    monkeypatch.setenv("NDI_RUNTIME_DIR_V5", "five")
    paths = list(ndi_library.candidates(system))
    folders = [path.parent.name for path in paths]
    assert folders.index("six") == 0 < folders.index("five") < len(folders) - 1
    assert all(path.parent != Path() for path in paths)


def test_without_a_virtual_camera_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """What pyvirtualcam answers here; a machine that has such a camera says so."""
    state = virtual_camera.state()
    assert state.possible != bool(state.reason) and bool(state.remedy) != state.possible
    if not state.possible:
        assert main(["air", "--to", "virtual-camera"]) == 1
        said = capsys.readouterr().err
        assert state.reason in said and state.remedy in said
    assert main(["air"]) == 0
    assert "Virtual Camera" in capsys.readouterr().out


class Backend:
    """One of pyvirtualcam's backends, as it lets programs add them: keeps what it is sent."""

    frames: list[np.ndarray] = []
    closed = gone = False

    def __init__(self, width: int, height: int, fps: float, fourcc: int, device: str | None, **more: Any) -> None:
        type(self).frames, type(self).closed = [], False

    def close(self) -> None:
        type(self).closed = True

    def send(self, frame: np.ndarray) -> None:
        if self.gone:
            raise RuntimeError("the device is gone")
        self.frames.append(frame.copy())

    def device(self) -> str:
        return "Backend of the tests"

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> type[Backend]:
    package = pytest.importorskip("pyvirtualcam")
    monkeypatch.setattr(package.camera, "BACKENDS", {})
    package.register_backend("tests", Backend)
    return Backend


def test_a_virtual_camera_gets_rgb(backend: type[Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    camera = VirtualCamera((16, 8), 25)
    assert camera.where == "Backend of the tests" and not camera.keeps_alpha
    picture = np.random.default_rng(1).integers(0, 256, (8, 16, 3), np.uint8)
    camera.send(picture)
    np.testing.assert_array_equal(np.reshape(backend.frames[0], picture.shape), picture)
    monkeypatch.setattr(backend, "gone", True)
    with pytest.raises(PortraitError) as lost:
        camera.send(picture)
    assert lost.value.code is ErrorCode.LIVE_UNAVAILABLE and "gone" in lost.value.message
    camera.close()
    assert backend.closed
    assert virtual_camera.state().where == "Backend of the tests"


def test_pictures_are_due_at_a_steady_rate() -> None:
    now = [5.0]
    pacer = Pacer(10, lambda: now[0])
    due = []
    for held_up in (0.0, 0.03, 0.0, 0.47, 0.0, 0.0):
        now[0] += pacer.wait_seconds()
        due.append(round(now[0] - 5.0, 3))
        now[0] += held_up
        pacer.sent()
    # Held up by 0.47 s at 0.3 s, one is due at once at 0.77 s; those that were missed are not made up for.
    assert due == [0.0, 0.1, 0.2, 0.3, 0.77, 0.8]


class Kept:
    where, keeps_alpha = "here", False

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def send(self, pixels: np.ndarray) -> None:
        self.frames.append(pixels)

    def close(self) -> None:
        return


def test_the_last_picture_is_sent_also_where_nothing_follows(capsys: pytest.CaptureFixture[str]) -> None:
    newest: Newest[np.ndarray] = Newest()
    newest.put(np.full((2, 2, 3), 9, np.uint8))
    newest.close()
    kept = Kept()
    send_all(newest, kept, (2, 2), Pacer(25))
    assert len(kept.frames) == 1 and (kept.frames[0] == 9).all()


@pytest.mark.parametrize("shape", [(40, 20, 3), (20, 40, 4), (400, 200, 3), (1, 4000, 4), (20, 20, 3)])
@pytest.mark.parametrize("keep_alpha", [True, False])
def test_any_picture_fits(shape: tuple[int, int, int], keep_alpha: bool) -> None:
    picture = np.full(shape, 200, np.uint8)
    frame = fitted(picture, (20, 20), keep_alpha)
    assert frame.shape == (20, 20, 4 if keep_alpha and shape[2] == 4 else 3) and frame.flags.c_contiguous
    expected = 200 if keep_alpha or shape[2] == 3 else 200 * 200 // 255
    assert abs(int(frame[9:11, 9:11, 0].max()) - expected) <= 1


def test_a_clear_picture_is_black_on_a_camera() -> None:
    clear = np.full((4, 4, 4), 255, np.uint8)
    clear[..., 3] = 0
    assert not fitted(clear, (4, 4), keep_alpha=False).any()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("", "Talking Portraits (AI-modified)"),
        ("Anna", "Anna (AI-modified)"),
        ("Anna, ai-modified", "Anna, ai-modified"),
        ("a\n b", "a b (AI-modified)"),
    ],
)
def test_the_name_always_says_what_it_is(asked: str, name: str) -> None:
    assert name_on_air(asked) == name
    assert len(name_on_air("x" * 1000)) < 120


@pytest.mark.parametrize("text", ["15x15", "33x32", "8192x8192", "x", "32"])
def test_a_size_that_cameras_do_not_have_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="needed"):
        even_size(text)


@pytest.mark.parametrize("text", ["0", "121", "nan", "-1", "fast"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="needed"):
        picture_rate(text)
    assert picture_rate("29.97") == 29.97
