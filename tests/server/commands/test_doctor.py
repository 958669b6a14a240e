# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait doctor` names what is missing and its remedy."""

from __future__ import annotations

import pytest
from portrait_server.cli import main
from portrait_server.commands import system_libraries


def test_a_sound_machine_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for what in (
        "Python",
        "System libraries",
        "Device cpu",
        "Device cuda",
        "Device auto",
        "Detectors",
        "bpy",
        "Blender",
        "Disk",
        "Server: ",
    ):
        assert what in said
    assert "engines" in said and "warp" in said, "the server was really asked"


def test_a_missing_library_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(system_libraries.DEBIAN_PACKAGE_OF, "libnowhere.so.7", "libnowhere7")
    monkeypatch.setattr("sys.platform", "linux")
    assert main(["doctor", "--no-server"]) == 1
    said = capsys.readouterr().out
    assert "libnowhere.so.7" in said and "apt-get install libnowhere7" in said


def test_what_bpy_alone_loads_is_missed_only_where_bpy_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(system_libraries.DEBIAN_PACKAGE_OF_BPY, "libnowhere.so.7", "libnowhere7")
    monkeypatch.setattr("sys.platform", "linux")
    assert "libnowhere.so.7" in system_libraries.missing_libraries(bpy=True)
    assert "libnowhere.so.7" not in system_libraries.missing_libraries(bpy=False)
