# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering, twice and again, and what is left afterwards; the manifest; the operators' texts."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

ROOT = Path(__file__).resolve().parents[2]
OPERATORS = (
    "add", "find_face", "remove", "import_track", "render", "cancel", "redo_strip", "rebuild", "relocate_photo",
    "choose_folder", "show_photo", "show_frames", "use_own_colors", "pose", "start_server", "stop_server",
    "show_preferences",
    "add_controls", "apply_expression", "mirror_pose", "reset_pose", "make_pose_library", "save_pose",
    "map_by_name", "map_picked", "remove_driver", "clear_drivers", "set_driver_rest", "check_drivers", "drive_sliders",
    "bake_drivers",
)  # fmt: skip


def handler_count() -> int:
    """The extension's own, of all kinds."""
    kinds = (kind for name in dir(bpy.app.handlers) if isinstance(kind := getattr(bpy.app.handlers, name), list))
    return sum(str(handler.__module__).startswith("blender_addon.") for kind in kinds for handler in kind)


def test_register_twice_and_again(addon: Any) -> None:
    before = handler_count()
    assert before
    addon.register()
    assert handler_count() == before
    addon.unregister()
    assert not hasattr(bpy.types.Scene, "talking_portraits") and handler_count() == 0
    assert "portrait" not in {name.split("_OT_")[0].lower() for name in dir(bpy.types) if "_OT_" in name}
    addon.unregister()
    addon.register()
    assert hasattr(bpy.types.Scene, "talking_portraits") and handler_count() == before


def test_every_operator_says_what_it_does(addon: Any) -> None:
    for name in OPERATORS:
        kind = getattr(bpy.ops.portrait, name).get_rna_type()
        assert kind.name and kind.description and not kind.description.endswith(".")


def test_without_its_wheels_it_says_so() -> None:
    """A copy of the folder alone, without the bundled packages, must name what is missing."""
    script = (
        "import sys, importlib.abc\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'portrait_shared': raise ModuleNotFoundError('absent', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import bpy, blender_addon\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "lacks the wheel of “portrait_shared”" in done.stderr
    assert "Install from Disk" in done.stderr


def test_the_manifest_keeps_to_blenders_rules() -> None:
    manifest = tomllib.loads((ROOT / "blender_addon" / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["id"] == "talking_portraits" and manifest["blender_version_min"] == "4.2.0"
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert set(manifest["permissions"]) == {"files", "network"}
    for reason in manifest["permissions"].values():
        assert len(reason) <= 64 and not reason.endswith(".")
    assert len(manifest["tagline"]) <= 64 and not manifest["tagline"].endswith(".")
