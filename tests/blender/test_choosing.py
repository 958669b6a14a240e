# SPDX-License-Identifier: GPL-3.0-or-later
"""Of several portraits, the list highlights the one that panels and operators are about; the engines to choose from."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
from blender_addon.blender import selection  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.interface.operators.common import active_portrait  # noqa: E402
from blender_addon.portraits import engine_choice, portrait_parts  # noqa: E402


@pytest.fixture
def two(portrait: Any, photo_file: Path, face: np.ndarray) -> Any:
    """“anna” and “anna.001”, of which nothing is active."""
    made = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, made, face)
    bpy.context.view_layer.objects.active = None
    return bpy.context.scene.talking_portraits


def select(item: Any) -> None:
    selection.select_only(bpy.context.view_layer, item)
    bpy.context.view_layer.update()


def highlighted(held: Any) -> str:
    assert held.items[held.list_index].uid == active_portrait(bpy.context).uid, "one answer for all"
    return str(held.items[held.list_index].name)


def test_a_click_in_the_list_selects_what_it_highlights(two: Any) -> None:
    for part in ("plane", "rig"):
        select(getattr(two.items[0], part))
        assert highlighted(two) == "anna"
        two.list_index = 1
        assert highlighted(two) == "anna.001"
        assert bpy.context.view_layer.objects.active == getattr(two.items[1], part)
        assert not getattr(two.items[0], part).select_get()


def test_a_click_in_the_list_while_posing_goes_on_posing(two: Any) -> None:
    select(two.items[0].rig)
    bpy.ops.object.mode_set(mode="POSE")
    two.list_index = 1
    assert highlighted(two) == "anna.001" and bpy.context.mode == "POSE"
    assert bpy.context.view_layer.objects.active == two.items[1].rig
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_portrait_that_is_hidden_can_be_chosen(two: Any) -> None:
    select(two.items[0].plane)
    for part in (two.items[1].plane, two.items[1].rig):
        part.hide_viewport = True
    two.list_index = 1
    assert highlighted(two) == "anna.001" and not two.items[0].plane.select_get()


def test_a_click_in_the_viewport_is_followed_and_remembered(two: Any) -> None:
    lamp = bpy.data.objects.new("lamp", None)
    bpy.context.scene.collection.objects.link(lamp)
    for index, name in ((0, "anna"), (1, "anna.001"), (0, "anna")):
        select(two.items[index].plane)
        assert highlighted(two) == name
        select(lamp)
        assert highlighted(two) == name, "the last one that was meant"


def test_the_one_beside_a_removed_one_is_meant(two: Any, photo_file: Path) -> None:
    third = portrait_parts.add(bpy.context.scene, str(photo_file))
    select(third.plane)
    select(two.items[0].plane)
    assert bpy.ops.portrait.remove() == {"FINISHED"}
    assert [item.name for item in two.items] == ["anna.001", "anna.002"] and highlighted(two) == "anna.001"


def test_a_name_with_a_number_is_counted_on_as_blender_does(two: Any) -> None:
    assert [two.add("anna.001").name, two.add("anna.001").name, two.add("ben.007").name] == [
        "anna.002",
        "anna.003",
        "ben.007",
    ]


def test_what_another_scene_has_chosen_is_its_own(two: Any, photo_file: Path) -> None:
    other = bpy.data.scenes.new("other")
    for _ in range(2):
        portrait_parts.add(other, str(photo_file))
    select(two.items[0].plane)
    assert highlighted(two) == "anna"
    held = other.talking_portraits
    assert held.list_index == 1
    held.list_index = 0
    assert held.list_index == 0 and bpy.context.view_layer.objects.active == two.items[0].plane


def test_undo_brings_back_the_choice(two: Any) -> None:
    select(two.items[0].plane)
    bpy.ops.ed.undo_push(message="first")
    two.list_index = 1
    bpy.ops.ed.undo_push(message="second")
    assert highlighted(bpy.context.scene.talking_portraits) == "anna.001"
    bpy.ops.ed.undo()
    assert highlighted(bpy.context.scene.talking_portraits) == "anna"
    bpy.ops.ed.redo()
    assert highlighted(bpy.context.scene.talking_portraits) == "anna.001"


def offered(portrait: Any) -> dict[str, str]:
    """What a menu shows: identifier and description of each engine."""
    return {item[0]: item[2] for item in engine_choice.CHOICE["items"](portrait, bpy.context)}


def test_the_engines_are_a_list_that_says_what_each_is_good_for(portrait: Any) -> None:
    server.stop()
    assert list(offered(portrait)) == ["AUTOMATIC", "ENGINE_warp", "ENGINE_fewshot"], "also before any server runs"
    assert all(len(text.split()) > 5 for text in offered(portrait).values())
    assert portrait.engine_choice == "AUTOMATIC" and portrait.engine == ""
    for name in ("warp", "fewshot"):
        portrait.engine_choice = f"ENGINE_{name}"
        assert portrait.engine == name and portrait.engine_choice == f"ENGINE_{name}"
    portrait.engine_choice = "AUTOMATIC"
    assert portrait.engine == ""


def test_an_engine_of_a_server_or_of_an_old_file_can_be_chosen(portrait: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait.engine = "oil paint"  # as files of before hold it
    assert portrait.engine_choice == "ENGINE_oil paint"
    info = SimpleNamespace(engines={"warp": "1", "sketch": "2"}, pid=1)
    monkeypatch.setattr(server, "_health", server.Health(server.ServerState.RUNNING, info))
    assert list(offered(portrait)) == [
        "AUTOMATIC", "ENGINE_warp", "ENGINE_fewshot", "ENGINE_sketch", "ENGINE_oil paint"
    ]  # fmt: skip
    lacking = {name for name, text in offered(portrait).items() if "lacks it" in text}
    assert lacking == {"ENGINE_fewshot", "ENGINE_oil paint"}
    assert portrait.engine_choice == "ENGINE_oil paint" and portrait.engine == "oil paint"
    portrait.engine_choice = "ENGINE_sketch"
    assert portrait.engine == "sketch" and portrait.engine_choice == "ENGINE_sketch"


def test_no_property_has_a_function_that_loses_its_module() -> None:
    """Annotations are text here: Blender makes a lambda of them that finds no name of its module when it is called."""
    found = []
    for path in Path(blender_addon.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AnnAssign):
                kinds = (ast.Lambda, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
                found += [f"{path.name}:{part.lineno}" for part in ast.walk(node.annotation) if isinstance(part, kinds)]
    assert found == []
