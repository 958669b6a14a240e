# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees and presses of the server's installation: by the real uv, from an index on loopback or a folder."""

from __future__ import annotations

import _thread
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from portrait_shared import __version__ as OWN_RELEASE
from portrait_shared.errors import ErrorCode, PortraitError

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.blender import problems  # noqa: E402
from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.connection import (  # noqa: E402
    installation_box,
    preferences,
    server,
    server_installing,
    server_program,
)
from blender_addon.connection.server_program import Origin  # noqa: E402
from blender_addon.installation import environments, orphans  # noqa: E402
from blender_addon.installation import place as installation_place  # noqa: E402
from blender_addon.interface.panels import sidebar  # noqa: E402
from tests.blender.server_wheels import Place, server_wheel  # noqa: E402
from tests.blender.test_panels import CheckedLayout  # noqa: E402
from tests.blender.test_panels import drawn as all_drawn  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


@pytest.fixture
def nothing(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which no server can be found, and the place that one would be installed into."""
    for name in ("home", "path", "runtime", "blender"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv(server_program.COMMAND_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "path"), os.defpath]))  # programs' scripts call others
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path / "blender"))
    monkeypatch.setattr(server_program.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path / "home"))
    server_program.look_again()
    server.stop()
    problems.forget_all()
    folder = installation_place.server_folder()
    assert folder.is_relative_to(tmp_path)
    yield folder
    server_installing._quit()
    server_installing.put_away()
    server_installing._forget_facts()
    server_program.look_again()


@pytest.fixture
def online(nothing: Path) -> Iterator[None]:
    system = bpy.context.preferences.system
    system.use_online_access = True
    yield
    system.use_online_access = False


@pytest.fixture
def packages(nothing: Path, installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """What an installation is made of, and the preferences that name it."""
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(server_wheel(tmp_path / "of this release", OWN_RELEASE)))
    choices = preferences.choice

    def with_this_python(context: Any) -> Any:
        """There is no preference for it: the tests' own is at hand, where uv would look on PATH or download one."""
        return dataclasses.replace(choices(context), python=sys.executable)

    monkeypatch.setattr(preferences, "choice", with_this_python)
    monkeypatch.setattr(preferences._DEFAULTS, "backend", "cpu")
    monkeypatch.setattr(preferences._DEFAULTS, "package_index", installing.index.address)
    return dataclasses.replace(installing, folder=nothing)


def drawn() -> str:
    """Every panel, a second later."""
    server_program.look_again()
    return all_drawn()


def box(whole: bool = False) -> str:
    """The box, once what it has to look up is there."""
    seen: list[str] = []
    wait_until(lambda: server_installing.facts(preferences.choice(bpy.context)) is not None)
    installation_box.draw(CheckedLayout(seen), bpy.context, 60, whole)  # type: ignore[arg-type]
    return "\n".join(seen)


def failing(operator: Any, **asked: Any) -> str:
    with pytest.raises(RuntimeError) as caught:
        operator(**asked)
    return str(caught.value)


def fits(release: str = OWN_RELEASE) -> Any:
    """A mark as of a complete installation of that release, whose program does nothing."""
    folder = installation_place.server_folder()
    mark = folder / "installed.json"
    said = json.loads(mark.read_text(encoding="utf-8"))
    mark.write_text(json.dumps({**said, "release": release}), encoding="utf-8")


def test_without_a_server_the_tab_asks_for_nothing_else(nothing: Path, online: None, packages: Place) -> None:
    box()
    text = drawn().splitlines()
    assert "portrait.install_server" in text and "portrait.install_server_from_folder" in text
    assert "portrait.add" not in text and "portrait.start_server" not in text
    told = box()
    assert "not installed yet" in told and str(nothing) in told.replace("\n", "") and "Download" in told
    assert not sidebar.PORTRAIT_PT_server.poll(bpy.context)


def test_an_installation_and_its_removal_are_seen_at_once(packages: Place, online: None) -> None:
    assert server_program.lately_found("").command == ()
    bpy.ops.portrait.install_server()
    assert server_program.lately_found("").origin is Origin.INSTALLED
    bpy.ops.portrait.remove_server()
    assert server_program.lately_found("").command == ()


def test_a_scene_with_portraits_keeps_its_buttons(packages: Place, portrait: Any) -> None:
    text = drawn()
    assert "portrait.install_server" in text and "portrait.pose" in text and "portrait.add" in text


def test_one_click_installs_and_the_server_is_found(packages: Place, online: None) -> None:
    assert bpy.ops.portrait.install_server() == {"FINISHED"}
    there = environments.installed(packages.folder)
    assert there is not None
    found = server_program.find("")
    assert found.command == (str(there.program),) and found.origin is Origin.INSTALLED and not found.is_by_hand
    text = drawn()
    assert "portrait.add" in text and "portrait.install_server\n" not in text
    told = box(whole=True)
    assert f"Installed: {OWN_RELEASE}" in told and "cpu" in told and "portrait.remove_server" in told
    assert "portrait.repair_server" in told and server_installing.log_file() is not None


def test_a_problem_of_before_is_forgotten_once_it_is_installed(packages: Place, online: None, portrait: Any) -> None:
    assert "not installed yet" in failing(bpy.ops.portrait.render)
    assert problems.last(portrait.uid).fix is Fix.INSTALL and "portrait.install_server" in drawn()
    bpy.ops.portrait.install_server()
    assert problems.last(portrait.uid) is None


def test_without_online_access_it_says_how_to_permit_it(packages: Place) -> None:
    assert not bpy.app.online_access and not bpy.ops.portrait.install_server.poll()
    told = box()
    assert "Allow Online Access" in told.replace("\n", " ") and "portrait.show_online_access" in told
    with pytest.raises(PortraitError) as caught:
        server_installing.begin(preferences.choice(bpy.context), lambda: True)
    assert caught.value.code is ErrorCode.NOT_ALLOWED and "--online-mode" in caught.value.remedy
    assert environments.installed(packages.folder) is None and not packages.index.files_asked


def test_a_folder_needs_no_online_access(packages: Place) -> None:
    assert bpy.ops.portrait.install_server_from_folder(directory=str(packages.wheels)) == {"FINISHED"}
    assert environments.installed(packages.folder) is not None and not packages.index.files_asked


def test_a_folder_that_is_not_there_is_said(packages: Place, tmp_path: Path) -> None:
    said = failing(bpy.ops.portrait.install_server_from_folder, directory=str(tmp_path / "none"))
    assert "There is no folder" in said and "portrait bundle" in said


def test_what_the_user_has_set_wins(packages: Place, online: None, tmp_path: Path) -> None:
    bpy.ops.portrait.install_server()
    own = tmp_path / "own" / ("portrait.exe" if os.name == "nt" else "portrait")
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n", encoding="utf-8")
    own.chmod(0o755)
    found = server_program.find(str(own))
    assert found.command == (str(own),) and found.is_by_hand and found.fix is Fix.PREFERENCES
    os.environ[server_program.COMMAND_VARIABLE] = str(own)
    try:
        assert server_program.find("").origin is Origin.VARIABLE
    finally:
        del os.environ[server_program.COMMAND_VARIABLE]
    assert server_program.find("").origin is Origin.INSTALLED


def test_the_installed_server_comes_before_one_on_the_path(packages: Place, online: None, tmp_path: Path) -> None:
    other = tmp_path / "path" / ("portrait.exe" if os.name == "nt" else "portrait")
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    assert server_program.find("").command == (str(other),)
    bpy.ops.portrait.install_server()
    assert server_program.find("").origin is Origin.INSTALLED


def test_another_release_is_offered_its_update_and_works_until_then(packages: Place, online: None) -> None:
    bpy.ops.portrait.install_server()
    fits("0.0.9")
    assert server_program.other_release(server_program.find("")) == "0.0.9"
    text = drawn()
    assert "portrait.update_server" in text and "portrait.add" in text, "it can be used all the same"
    assert "release 0.0.9" in box()
    assert bpy.ops.portrait.update_server() == {"FINISHED"}
    assert environments.installed(packages.folder).release == OWN_RELEASE
    assert "portrait.update_server" not in drawn()


def test_a_half_made_one_is_offered_its_repair(packages: Place, online: None) -> None:
    bpy.ops.portrait.install_server()
    environments.installed(packages.folder).program.unlink()
    found = server_program.find("")
    assert found.command == () and found.fix is Fix.REPAIR
    assert "portrait.repair_server" in box()
    with pytest.raises(SceneError) as caught:
        server.Launch((), "cpu", True, True, problem=found.problem, fix=found.fix).check_command()
    assert caught.value.fix is Fix.REPAIR and caught.value.remedy
    assert bpy.ops.portrait.repair_server() == {"FINISHED"}
    assert server_program.find("").origin is Origin.INSTALLED


def test_remove_takes_the_server_and_nothing_else(packages: Place, online: None, portrait: Any) -> None:
    bpy.ops.portrait.install_server()
    assert bpy.ops.portrait.remove_server() == {"FINISHED"}
    assert environments.installed(packages.folder) is None and not packages.folder.exists()
    assert not bpy.ops.portrait.remove_server.poll() and not bpy.ops.portrait.repair_server.poll()
    assert list(bpy.context.scene.talking_portraits.items) == [portrait]


def test_a_failure_stays_in_the_box_with_its_remedy_until_it_is_put_away(packages: Place, online: None) -> None:
    packages.index.login = True  # as in a hotel
    said = failing(bpy.ops.portrait.install_server)
    failure = server_installing.failure()
    assert failure is not None and failure.message in said and failure.remedy
    assert failure.message[:30] in drawn() and "portrait.open_installation_log" in box()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert server_installing.failure() is failure, "it belongs to no file"
    assert bpy.ops.portrait.put_installation_away() == {"FINISHED"}
    assert server_installing.failure() is None and not bpy.ops.portrait.put_installation_away.poll()


def test_it_goes_on_while_files_are_loaded_and_can_be_cancelled(packages: Place, online: None) -> None:
    packages.index.held = {"small_one-1.0-py3-none-any.whl"}
    try:
        under_way = server_installing.begin(preferences.choice(bpy.context), lambda: True)
        wait_until(packages.index.begun.is_set)
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.ed.undo_push(message="something")
        assert server_installing.running() is under_way
        text = drawn()
        assert "portrait.cancel_installation" in text and "%" in text
        assert not any(line.startswith("$") for line in text.splitlines()), "a command says nothing to a person"
        assert not bpy.ops.portrait.install_server.poll() and not bpy.ops.portrait.remove_server.poll()
        with pytest.raises(PortraitError) as caught:
            server_installing.begin(preferences.choice(bpy.context), lambda: True)
        assert caught.value.code is ErrorCode.BUSY
        assert bpy.ops.portrait.cancel_installation() == {"FINISHED"}
        wait_until(lambda: server_installing.running() is None)
    finally:
        packages.index.let_go.set()
        packages.index.held = set()
    assert server_installing.failure() is None, "who cancelled knows it"
    assert environments.installed(packages.folder) is None
    assert bpy.ops.portrait.install_server() == {"FINISHED"}, "and it goes on"


def test_the_server_is_replaced_once_nothing_uses_it(packages: Place, online: None) -> None:
    """As the timer does it where there is a window."""
    idle = False
    server_installing.begin(preferences.choice(bpy.context), lambda: idle)
    wait_until(lambda: server_installing.running() is None)
    assert server_installing._on_timer() is not None and not server_installing._taken_up
    idle = True
    server_installing._on_timer()
    assert server_installing._taken_up and server_installing._on_timer() is None


def test_what_needs_a_window_or_a_log_says_so(packages: Place, online: None) -> None:
    assert not bpy.ops.portrait.open_installation_log.poll(), "there is none yet"
    assert "Nothing was installed yet" in failing(bpy.ops.portrait.open_installation_log)
    bpy.ops.portrait.install_server()
    assert bpy.ops.portrait.open_installation_log.poll()
    with pytest.raises(RuntimeError):  # Blender opens its preferences in a window alone
        bpy.ops.portrait.show_online_access()


def test_the_server_that_was_replaced_is_removed_once_it_does_not_run_any_more(packages: Place, online: None) -> None:
    bpy.ops.portrait.install_server()
    bpy.ops.portrait.update_server()
    before = sorted(path.name for path in packages.folder.glob("e*") if path.is_dir())
    server_installing._sweep(packages.folder)
    after = [path for path in packages.folder.glob("e*") if path.is_dir()]
    assert len(after) == 1 <= len(before) and environments.installed(packages.folder).program.is_relative_to(after[0])


def test_the_preferences_show_it_first(packages: Place) -> None:
    seen: list[str] = []
    asked = SimpleNamespace(**vars(preferences._DEFAULTS), layout=CheckedLayout(seen))
    fields = preferences.PORTRAIT_AP_preferences.bl_rna.properties
    asked.bl_rna = SimpleNamespace(properties=fields)
    box()
    preferences.PORTRAIT_AP_preferences.draw(asked, bpy.context)
    assert seen.index("portrait.install_server") < seen.index("backend") < seen.index("server_command")
    assert "package_index" in seen and "wheels_folder" in seen


def test_backends_are_those_that_the_system_can_have() -> None:
    names = [item[0] for item in preferences._BACKEND_ITEMS]
    assert names[:2] == ["auto", "cpu"] and ("mps" in names) is (sys.platform == "darwin")
    assert ("cuda" in names) is (sys.platform != "darwin") and ("rocm" in names) is sys.platform.startswith("linux")
    numbers = [item[4] for item in preferences._BACKEND_ITEMS]
    assert numbers == [preferences._BACKENDS[name][2] for name in names], "the same on every system"


def test_the_command_line_installs_too(packages: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["install"]) == 1
    assert "--online-mode" in capsys.readouterr().err
    assert command_line.main(["install", "--folder", str(packages.wheels), "--backend", "cpu"]) == 0
    said = capsys.readouterr().out
    assert f"Installed: {environments.installed(packages.folder).program}" in said and "%" in said
    assert command_line.main(["install", "--backend", "abacus"]) == 2


def test_ctrl_c_on_the_command_line_ends_it_with_a_sentence(
    packages: Place, online: None, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.index.held = {"torch-2.9.0-py3-none-any.whl"}

    def press() -> None:
        packages.index.begun.wait()
        _thread.interrupt_main()

    threading.Thread(target=press, daemon=True).start()
    assert command_line.main(["install", "--backend", "cpu", "--index", packages.index.address]) == 130
    assert "Interrupted" in capsys.readouterr().err and server_installing.running() is None
    assert not orphans.groups(packages.folder)
