# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's own colours under other colour configurations than Blender's, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.plane import view_colors  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

# As small as a studio's own may be: names that tell nothing, in OpenColorIO's first format.
STUDIO = """
ocio_profile_version: 1
roles: {default: display, scene_linear: linear, default_byte: display, default_float: linear, color_picking: display,
        data: raw data}
displays:
  Monitor:
    - !<View> {name: Print, colorspace: print}
    - !<View> {name: Plain, colorspace: display}
active_displays: [Monitor]
active_views: [Print, Plain]
colorspaces:
  - !<ColorSpace> {name: linear, family: "", bitdepth: 32f, isdata: false}
  - !<ColorSpace> {name: raw data, family: "", bitdepth: 32f, isdata: true}
  - !<ColorSpace>
    name: display
    bitdepth: 8ui
    isdata: false
    to_reference: !<ExponentTransform> {value: [2.2, 2.2, 2.2, 1]}
  - !<ColorSpace>
    name: print
    bitdepth: 8ui
    isdata: false
    to_reference: !<ExponentTransform> {value: [1.4, 1.4, 1.4, 1]}
"""
_SCRIPT = """
import json, os, sys, bpy
from blender_addon.plane import view_colors
scene, found = bpy.context.scene, {}
found["first"] = (scene.view_settings.view_transform, view_colors.altered_colors(scene))
found["can"] = view_colors.use_own_colors(scene)
found["then"] = (scene.view_settings.view_transform, view_colors.altered_colors(scene))
scene.view_settings.exposure = 1
found["exposed"] = view_colors.altered_colors(scene)
print("FOUND", json.dumps(found)); sys.stdout.flush(); os._exit(0)
"""


def under(configuration: str) -> dict[str, Any]:
    environment = {**os.environ, "OCIO": configuration}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    return found


def test_the_aces_configuration() -> None:
    found = under("ocio://cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
    assert found["first"][0] in found["first"][1] and found["first"][0] != "Un-tone-mapped"
    assert found["can"] and found["then"] == ["Un-tone-mapped", ""]
    assert "exposure" in found["exposed"]


def test_a_configuration_whose_names_tell_nothing(tmp_path: Path) -> None:
    """The views are tried, and the one that leaves colours as they are is taken."""
    (tmp_path / "config.ocio").write_text(STUDIO, encoding="utf-8")
    found = under(str(tmp_path / "config.ocio"))
    assert found["first"] == ["Print", "the view transform is Print"]
    assert found["can"] and found["then"] == ["Plain", ""]


def test_a_configuration_that_alters_all_colours(tmp_path: Path) -> None:
    kept = (line for line in STUDIO.splitlines() if "name: Plain" not in line)
    text = "\n".join(kept).replace("[Print, Plain]", "[Print]")
    (tmp_path / "config.ocio").write_text(text, encoding="utf-8")
    found = under(str(tmp_path / "config.ocio"))
    assert not found["can"] and found["then"] == ["Print", "the view transform is Print"]


def test_white_balance_and_other_displays(scene: Any) -> None:
    view_colors.use_own_colors(scene)
    assert view_colors.altered_colors(scene) == ""
    for display in view_colors.enum_values(scene.display_settings, "display_device"):
        scene.display_settings.display_device = display
        scene.view_settings.view_transform = view_colors.enum_values(scene.view_settings, "view_transform")[-1]
        assert view_colors.altered_colors(scene), display
        if view_colors.use_own_colors(scene):
            assert view_colors.altered_colors(scene) == "", display
    if hasattr(scene.view_settings, "use_white_balance"):
        scene.view_settings.use_white_balance = True
        assert "white balance" in view_colors.altered_colors(scene)
        view_colors.use_own_colors(scene)
        assert view_colors.altered_colors(scene) == ""
