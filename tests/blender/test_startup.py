# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's window does not wait for the extension: what is loaded at once, what afterwards, and that nothing is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import startup  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
_WITH_A_WINDOW = """
import os, sys
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
before = set(sys.modules)
import blender_addon
from blender_addon import startup
startup.register(at_once=False)
heavy = {"numpy", "zmq", "msgpack", "asyncio"} & (set(sys.modules) - before)
assert not heavy, heavy
assert hasattr(bpy.types, "PORTRAIT_AP_preferences") or not hasattr(bpy.types.Scene, "talking_portraits")
assert not hasattr(bpy.types.Scene, "talking_portraits")
pieces = 0
while startup.next_piece() is not None:
    startup.go_on()
    pieces += 1
assert pieces > 10 and not startup.go_on()
assert hasattr(bpy.types.Scene, "talking_portraits")
scene = bpy.context.scene
assert len(scene.talking_portraits.items) == 0
assert bpy.ops.portrait.install_server.get_rna_type().name == "Install Server"
startup.unregister()
assert not hasattr(bpy.types.Scene, "talking_portraits")
startup.register(at_once=False)
startup.unregister()
assert startup.next_piece() is None
print("all is well", flush=True)
os._exit(0)
"""


def test_a_window_comes_before_the_packages_and_all_is_there_afterwards() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")])}
    done = subprocess.run([sys.executable, "-c", _WITH_A_WINDOW], env=environment, capture_output=True, text=True)
    assert "all is well" in done.stdout, done.stderr


def test_without_a_window_all_is_there_at_once(addon: Any) -> None:
    assert bpy.app.background and startup.needs_all() and startup.next_piece() is None


_ENABLED_TWICE = """
import os, sys
import bpy, addon_utils
with open(addon_utils.__file__, encoding="utf-8") as file:
    assert "def _initialize_once():" in file.read()  # what Blender calls while it starts, and then deletes
addon_utils.enable("asks_how_it_is_enabled")
addon_utils.disable("asks_how_it_is_enabled")
exec("def _initialize_once(): enable('asks_how_it_is_enabled')", vars(addon_utils))
addon_utils._initialize_once()
print(sys.modules["asks_how_it_is_enabled"].ANSWERS, flush=True)
os._exit(0)
"""
_ASKS = """
from blender_addon import startup
bl_info = {"name": "Asks", "blender": (4, 2, 0), "category": "Object"}
ANSWERS = []
def register():
    ANSWERS.append(startup.blender_starts())
def unregister():
    pass
"""


def test_enabled_later_on_all_is_there_at_once(tmp_path: Path) -> None:
    (tmp_path / "asks_how_it_is_enabled.py").write_text(_ASKS)
    paths = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "shared")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", _ENABLED_TWICE], env=environment, capture_output=True, text=True)
    assert "[False, True]" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "scripted"),
    [
        (["blender"], False),
        (["blender", "scene.blend"], False),
        (["blender", "scene.blend", "--", "--python"], False),
        (["blender", "--python", "tool.py"], True),
        (["blender", "scene.blend", "-P", "tool.py"], True),
        (["blender", "--python-expr", "import bpy"], True),
        (["blender", "--command", "portrait", "render"], True),
    ],
)
def test_a_script_on_the_command_line_finds_all_operators(arguments: list[str], scripted: bool) -> None:
    assert startup.is_scripted(arguments) is scripted


def test_the_sidebar_is_opened_for_who_has_just_installed_it(scene: Any) -> None:
    """Without a window no sidebar is drawn, so none has tabs: what can be told is that it opens, and that this ends."""
    from blender_addon.interface.panels import introduction

    window = bpy.context.window_manager.windows[0]
    space = next(area for area in window.screen.areas if area.type == "VIEW_3D").spaces.active
    space.show_region_ui = False
    looks = 1
    while introduction._on_timer() is not None:
        looks += 1
        assert looks <= introduction._MOST_LOOKS
    assert space.show_region_ui
    introduction.begin()
    assert not bpy.app.timers.is_registered(introduction._on_timer), "nobody is there"
