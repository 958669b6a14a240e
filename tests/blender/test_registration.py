# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering, twice and again, and what is left afterwards; the manifest; the operators' texts."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blender_addon.rig.blendshapes import DESCRIPTIONS

bpy = pytest.importorskip("bpy")

from blender_addon.connection import server  # noqa: E402
from blender_addon.interface.panels import menus  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
OPERATORS = (
    "add", "find_face", "remove", "import_track", "render", "cancel", "redo_strip", "rebuild", "relocate_photo",
    "choose_folder", "show_photo", "show_frames", "use_own_colors", "pose", "start_server", "stop_server", "install_server",
    "install_server_from_folder", "update_server", "repair_server", "remove_server", "cancel_installation",
    "put_installation_away", "open_installation_log", "show_online_access",
    "show_preferences", "adopt", "choose_face", "demo_motion", "show_colors",
    "add_controls", "apply_expression", "mirror_pose", "reset_pose", "make_pose_library", "save_pose",
    "map_by_name", "map_picked", "remove_driver", "clear_drivers", "set_driver_rest", "check_drivers", "drive_sliders",
    "bake_drivers", "virtual_camera", "ndi", "find_outputs", "choose_camera", "find_cameras",
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


def own_classes() -> list[type]:
    """Everything of the extension's that is registered."""
    found: set[type] = set()
    waiting = [bpy.types.Operator, bpy.types.Panel, bpy.types.Menu, bpy.types.PropertyGroup, bpy.types.AddonPreferences]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("blender_addon") and getattr(kind, "is_registered", False):
            found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def described(kind: type) -> Any:
    """Its properties; an operator's own are Blender's only as those of the operator's type."""
    if not issubclass(kind, bpy.types.Operator):
        return kind.bl_rna.properties
    area, name = kind.bl_idname.split(".")
    return getattr(getattr(bpy.ops, area), name).get_rna_type().properties


NO_VERB = {
    "A", "An", "The", "Which", "What", "How", "Where", "When", "Whether", "From", "As", "In", "On", "Only", "Every",
    "First", "Last", "Size", "Strength", "Number", "Path", "File", "Folder", "Longer", "Along", "Metres",
}  # fmt: skip
"""Words that a thing's name or half a question begins with, and no sentence that says what is done."""


def told_badly(text: str) -> str:
    """What is wrong with a tooltip: it has to be a whole sentence. Blender ends it with a full stop itself."""
    if not text.strip() or text != text.strip():
        return "empty, or spaces around it"
    if text.endswith((".", "…", ":", ",")):
        return "its end"
    if not (text[0].isupper() or text[0].isdigit() or text[0] in "“"):
        return "begins without a capital"
    if text.split()[0] in NO_VERB:
        return "names a thing, and does not say what is done"
    return "" if len(text.split()) >= 3 else "no sentence"


def test_every_operator_is_registered_and_found_by_search(addon: Any) -> None:
    for name in OPERATORS:
        kind = getattr(bpy.ops.portrait, name).get_rna_type()
        assert kind.name
    for kind in own_classes():
        if issubclass(kind, bpy.types.Operator):
            assert "INTERNAL" not in getattr(kind, "bl_options", ()), f"{kind.bl_idname} cannot be searched for"


def test_every_operator_says_what_it_does(addon: Any) -> None:
    bad = {}
    for kind in own_classes():
        if issubclass(kind, bpy.types.Operator):
            area, name = kind.bl_idname.split(".")
            text = getattr(getattr(bpy.ops, area), name).get_rna_type().description
            if wrong := told_badly(text):
                bad[kind.bl_idname] = (wrong, text)
    assert not bad, "\n".join(f"{name}: {what}" for name, what in bad.items())


def test_every_setting_says_what_it_is(addon: Any) -> None:
    bad = {}
    for kind in own_classes():
        if not issubclass(kind, (bpy.types.Operator, bpy.types.PropertyGroup, bpy.types.AddonPreferences)):
            continue
        own = set().union(*(vars(base).get("__annotations__", {}) for base in kind.__mro__))
        for setting in described(kind):
            if setting.identifier not in own or setting.is_hidden or setting.type in ("COLLECTION", "POINTER"):
                continue
            if setting.identifier == "active_index":  # of a list, and shown nowhere else
                continue
            if wrong := told_badly(setting.description):
                bad[f"{kind.__name__}.{setting.identifier}"] = (wrong, setting.description)
            for item in setting.enum_items if setting.type == "ENUM" else ():
                if wrong := told_badly(item.description):
                    bad[f"{kind.__name__}.{setting.identifier} {item.identifier}"] = (wrong, item.description)
    for name, text in DESCRIPTIONS.items():  # of the rig's sliders
        if wrong := told_badly(text.removesuffix(".")):
            bad[name] = (wrong, text)
    assert not bad, "\n".join(f"{name}: {what}" for name, what in bad.items())


def greyed_without_a_reason() -> dict[str, str]:
    """Operators that cannot run now and do not say why, each with Blender's own words for that."""
    found = {}
    for kind in own_classes():
        if not issubclass(kind, bpy.types.Operator):
            continue
        area, name = kind.bl_idname.split(".")
        operator = getattr(getattr(bpy.ops, area), name)
        if operator.poll():
            continue
        with pytest.raises(RuntimeError) as caught:
            operator()
        if "context is incorrect" in str(caught.value):
            found[kind.bl_idname] = str(caught.value)
    return found


def test_what_is_greyed_says_why(scene: Any, photo_file: Path, face: np.ndarray) -> None:
    assert not bpy.ops.portrait.render.poll() and greyed_without_a_reason() == {}
    portrait = portrait_parts.add(scene, str(photo_file))
    assert not bpy.ops.portrait.demo_motion.poll() and greyed_without_a_reason() == {}
    portrait_parts.attach_rig(bpy.context, portrait, face)
    assert not bpy.ops.portrait.redo_strip.poll() and greyed_without_a_reason() == {}
    job_queue.submit(RenderJob(portrait.uid, server.launch_plan(bpy.context)))
    assert not bpy.ops.portrait.choose_face.poll() and greyed_without_a_reason() == {}
    job_queue.abandon_all()
    linked_rig = bpy.data.objects[portrait.rig.name]
    bpy.data.libraries.write(str(photo_file.parent / "library.blend"), {linked_rig, portrait.plane}, fake_user=True)
    with bpy.data.libraries.load(str(photo_file.parent / "library.blend"), link=True) as (_, target):
        target.objects = [linked_rig.name]
    portrait.rig = target.objects[0]
    assert not bpy.ops.portrait.mirror_pose.poll() and greyed_without_a_reason() == {}


def test_the_shortcut_is_free_and_can_be_changed(addon: Any) -> None:
    keys = bpy.context.window_manager.keyconfigs
    for name, _ in menus.KEYMAPS:
        own = [item for item in keys.addon.keymaps[name].keymap_items if item.idname == "wm.call_menu_pie"]
        assert [item.properties.name for item in own] == ["PORTRAIT_MT_pie"]
    places = {"Window", "Screen", "Screen Editing", "Frames", "Animation", "Object Mode", "Pose",
              "Object Non-modal", "3D View Generic", *(name for name, _ in menus.KEYMAPS)}  # fmt: skip
    for folder in bpy.utils.preset_paths("keyconfig"):
        if folder not in sys.path:
            sys.path.append(folder)
    from keymap_data.blender_default import Params, generate_keymaps

    wanted = {"shift", "ctrl"}
    for name, _, content in generate_keymaps(Params(select_mouse="LEFT")):
        for idname, event, _ in content["items"]:
            held = {key for key in ("shift", "ctrl", "alt", "oskey") if event.get(key)}
            taken = event.get("type") == menus.PIE_KEY["type"] and (held == wanted or event.get("any"))
            assert not (name in places and taken), f"{idname} of {name} has that key"


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
    assert set(manifest["permissions"]) == {"camera", "files", "network"}
    for reason in manifest["permissions"].values():
        assert len(reason) <= 64 and not reason.endswith(".")
    assert len(manifest["tagline"]) <= 64 and not manifest["tagline"].endswith(".")
