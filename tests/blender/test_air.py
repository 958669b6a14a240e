# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview on air: through the real command to a library that stands for NDI's, and what goes wrong on the way."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.connection import server  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.preview import air_outputs, live_preview, on_air  # noqa: E402
from blender_addon.preview.air import Air  # noqa: E402
from tests import ndi_stand_in  # noqa: E402
from tests.ndi_stand_in import needs_compiler, pixels_in  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

SIZE = (96, 64)


@pytest.fixture(scope="session")
def ndi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ndi_stand_in.compile_into(tmp_path_factory.mktemp("ndi"))


@pytest.fixture
def pictures(ndi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """NDI is there; gives the lines that it has written."""
    log = tmp_path / "ndi.txt"
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", str(ndi_folder))
    monkeypatch.setenv("NDI_STAND_IN_LOG", str(log))
    return lambda: log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def launch(needs_server: None) -> Iterator[server.Launch]:
    yield server.launch_plan(bpy.context)
    live_preview.stop_all()
    on_air.stop_all()
    air_outputs.known = air_outputs.Known()


@pytest.fixture
def command(launch: server.Launch, tmp_path: Path) -> Callable[[str], server.Launch]:
    """A program in the place of `portrait`."""

    def write(body: str) -> server.Launch:
        file = tmp_path / "command.py"
        file.write_text(textwrap.dedent(body))
        return replace(launch, command=(sys.executable, str(file)), problem="")

    return write


def last_picture(lines: list[str]) -> np.ndarray:
    """The last whole one that went out."""
    whole = [line for line in lines if line.startswith("pixels ") and len(line) == 7 + 8 * SIZE[0] * SIZE[1]]
    return pixels_in(whole[-1], SIZE) if whole else np.zeros((SIZE[1], SIZE[0], 4), np.uint8)


@needs_compiler
def test_what_the_plane_shows_goes_on_air(
    launch: server.Launch, acting: Any, pictures: Callable[[], list[str]]
) -> None:
    scene = bpy.context.scene
    live_preview.start(acting.uid, launch)
    preview = live_preview.of(acting.uid)
    wait_until(lambda: preview.shown > 0 and preview.shown == preview.asked, live_preview.pump)
    air = on_air.start(scene, acting, "ndi", launch)
    assert on_air.is_on(acting.uid) and on_air.of(acting.uid, "ndi") is air and "Going on air" in air.line
    preview.ask_again()
    wait_until(lambda: last_picture(pictures()).any(), live_preview.pump, lambda: air.problem)
    # What the program says of itself is read beside the pictures, and may come after them.
    wait_until(lambda: air.line == f"On air: “{acting.name} (AI-modified)”", live_preview.pump, lambda: air.line)
    assert not air.problem
    before = last_picture(pictures())
    np.testing.assert_array_equal(before[..., :3], shown(preview))
    acting.rig.pose.bones["jaw_09"].location[1] = -0.03
    bpy.context.view_layer.update()
    wait_until(lambda: (last_picture(pictures()) != before).any(), live_preview.pump)
    live_preview.stop(acting.uid)
    count = len(pictures())
    wait_until(lambda: len(pictures()) > count + 4)  # the last picture goes on being sent
    assert on_air.is_on(acting.uid)
    on_air.stop(acting.uid, "ndi")
    wait_until(lambda: "send_destroy" in pictures())
    assert not on_air.is_on(acting.uid) and not air.problem


def shown(preview: Any) -> np.ndarray:
    """(H, W, 3) uint8 of the last picture, the highest row first."""
    return np.rint(preview._last[::-1, :, :3] * 255).astype(np.uint8)


@needs_compiler
def test_what_goes_on_air_has_the_watermark_whatever_is_preferred(
    launch: server.Launch, acting: Any, pictures: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(acting.disclosure, watermark=False)
    monkeypatch.setattr(type(acting), "disclosure", property(lambda self: plain))
    live_preview.start(acting.uid, launch)
    preview = live_preview.of(acting.uid)
    wait_until(lambda: preview.shown > 0 and preview.shown == preview.asked, live_preview.pump)
    assert not preview._current.subject.disclosure.watermark
    on_air.start(bpy.context.scene, acting, "ndi", launch)
    preview.ask_again()
    wait_until(lambda: last_picture(pictures()).any(), live_preview.pump)
    assert preview._current.subject.disclosure == replace(plain, watermark=True)
    on_air.stop_all()
    preview.ask_again()
    wait_until(lambda: not preview._current.subject.disclosure.watermark, live_preview.pump)


@needs_compiler
def test_it_ends_with_the_portrait_and_with_the_file(
    launch: server.Launch, acting: Any, pictures: Callable[[], list[str]]
) -> None:
    uid = acting.uid
    air = on_air.start(bpy.context.scene, acting, "ndi", launch)
    wait_until(lambda: "“" in air.line, note=lambda: air.problem)
    on_air._before_load()
    wait_until(lambda: air._stream.ended)
    assert on_air.of(uid, "ndi") is None and not air.problem
    air = on_air.start(bpy.context.scene, acting, "ndi", launch)
    portrait_parts.remove(bpy.context.scene, uid)
    on_air.pump()
    wait_until(lambda: air._stream.ended)
    assert on_air.of(uid, "ndi") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("""import sys
print("portrait air: NDI's library is not installed.\\n  Install it.", file=sys.stderr)
sys.exit(1)""", "not installed. Install it."),
        ("print('no json', flush=True); import sys; sys.stdin.read()", "cannot be read"),
        ("print('3', flush=True); import sys; sys.stdin.read()", "cannot be read"),
        ("import os; os.kill(os.getpid(), 9)", "ended " + ("with status" if os.name == "nt" else "from outside (signal 9)")),
    ],
    ids=["refused", "another program", "a number", "killed"],
)  # fmt: skip
def test_what_goes_wrong_is_a_sentence(command: Callable[[str], server.Launch], body: str, said: str) -> None:
    air = Air("ndi", SIZE, 25, "", command(body))
    assert air.ended
    air.start()
    picture = np.zeros((2, 2, 3), np.uint8)
    wait_until(lambda: air.problem, lambda: air.offer(picture))
    assert said in air.problem and air.line == air.problem
    wait_until(lambda: air.ended)
    air.stop()


def test_what_no_output_takes_ends_it(command: Callable[[str], server.Launch]) -> None:
    air = Air("ndi", SIZE, 25, "", command("import sys; sys.stdin.read()"))
    air.start()
    air.offer(np.zeros((2, 2, 3)))
    wait_until(lambda: air.ended)
    assert "cannot be sent" in air.problem


def test_pictures_arrive_whole_and_the_newest_wins(command: Callable[[str], server.Launch], tmp_path: Path) -> None:
    """To a program that reads slowly: what it misses is not queued."""
    got = tmp_path / "got"
    air = Air("ndi", (97, 5), 500, "A --name", command(f"""
        import sys
        print(sys.argv[1:], file=sys.stderr)
        print('{{"on": "there"}}', flush=True)
        data = b""
        while len(data) < 2 * (16 + 3 * 400 * 400):
            data += sys.stdin.buffer.read1(1000)
        open({str(got)!r}, "wb").write(data)
    """))  # fmt: skip
    assert air._words == ["air", "--to", "ndi", "--size", "96x16", "--fps", "60", "--name=A --name"]
    air.start()
    for level in range(1, 200):
        air.offer(np.full((400, 400, 3), level, np.uint8))
    wait_until(lambda: air.line == "On air: “there”")
    wait_until(got.exists, lambda: air.offer(np.full((400, 400, 3), 200, np.uint8)))
    wait_until(lambda: air.ended)
    data = np.frombuffer(got.read_bytes(), np.uint8)
    frame = 16 + 3 * 400 * 400
    assert bytes(data[:4]) == bytes(data[frame : frame + 4]) == b"TPRF"
    assert len(set(data[16:frame])) == 1 and set(data[frame + 16 : 2 * frame]) == {200}


@needs_compiler
def test_the_switches_say_why_they_are_greyed(
    launch: server.Launch, acting: Any, pictures: Callable[[], list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    def refusal() -> str:
        with pytest.raises(RuntimeError) as caught:
            bpy.ops.portrait.ndi()
        return str(caught.value)

    assert "Look for it first" in refusal()
    assert bpy.ops.portrait.find_outputs() == {"FINISHED"}
    assert air_outputs.obstacle("ndi") == "" and "another release" in air_outputs.obstacle("teleprinter")
    if obstacle := air_outputs.obstacle("virtual-camera"):  # as on most machines
        with pytest.raises(RuntimeError) as caught:
            bpy.ops.portrait.virtual_camera()
        assert obstacle[:40] in str(caught.value)
    assert "Start the live preview first" in refusal()
    live_preview.start(acting.uid, launch)
    assert bpy.ops.portrait.ndi() == {"FINISHED"}
    wait_until(lambda: last_picture(pictures()).any(), live_preview.pump)
    live_preview.stop(acting.uid)
    assert bpy.ops.portrait.ndi() == {"FINISHED"}  # also without the preview: what is on air can be ended
    wait_until(lambda: "send_destroy" in pictures())
    assert on_air.of(acting.uid, "ndi") is None


def test_a_list_that_cannot_be_had_is_the_reason(command: Callable[[str], server.Launch]) -> None:
    for body, said in (("print('{}')", "cannot be read"), ("import sys; sys.exit(3)", "ended with status 3")):
        asking = air_outputs.ask(command(body))
        assert (
            asking is not None
            and air_outputs.ask(command(body)) is None
            and "looked for" in air_outputs.obstacle("ndi")
        )
        asking.join()
        assert said in air_outputs.obstacle("ndi")
    air_outputs.ask_once(replace(command(""), command=()))
    assert not air_outputs.known.asking
