# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation does otherwise on Windows and macOS, as far as it can be tried without them."""

from __future__ import annotations

import io
import platform
import sys
import tarfile
from pathlib import Path

import pytest
from portrait_shared.errors import ErrorCode, PortraitError

from blender_addon.installation import pythons, settings, torch_backends
from blender_addon.installation.lock_file import Package
from blender_addon.installation.meter import Meter
from blender_addon.installation.python_archive import unpack_python


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")


def test_a_mac_takes_pytorch_from_any_index(mac: None) -> None:
    assert torch_backends.meant("auto") == torch_backends.meant("mps") == "mps"
    assert torch_backends.meant("cpu") == "cpu"
    assert {torch_backends.flag(backend) for backend in ("auto", "cpu", "mps")} == {""}
    for backend in ("cuda", "rocm", "xpu"):
        with pytest.raises(PortraitError) as told:
            torch_backends.meant(backend)
        assert told.value.code == ErrorCode.BAD_CONFIGURATION and "macOS" in told.value.message


def test_a_mac_with_an_intel_processor_is_told(mac: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(PortraitError) as told:
        torch_backends.meant("auto")
    assert told.value.code == ErrorCode.BAD_CONFIGURATION


def test_windows_has_no_pytorch_for_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(PortraitError):
        torch_backends.meant("rocm")
    assert torch_backends.flag("cpu") == "cpu" and torch_backends.flag("xpu") == "xpu"


def test_what_uv_is_told_of_backends_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch_backends, "missing_driver", lambda name: "none")
    assert torch_backends.meant("auto") == "cpu"
    assert torch_backends.flag("cuda").startswith("cu1") and torch_backends.flag("rocm").startswith("rocm")
    monkeypatch.setattr(torch_backends, "missing_driver", lambda name: "" if name == "cuda" else "none")
    assert torch_backends.meant("auto") == "cuda" and torch_backends.flag("cuda") == "auto"


def test_settings_of_windows_lie_with_its_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    found = settings.settings_files({"APPDATA": "A", "PROGRAMDATA": "P"})
    assert found == [Path("A", "uv", "uv.toml"), Path("P", "uv", "uv.toml")]
    assert settings.settings_files({"APPDATA": "A", "UV_NO_CONFIG": "1"}) == []


def test_settings_that_are_kept_are_toml_again(tmp_path: Path) -> None:
    import tomllib

    theirs = tmp_path / "uv.toml"
    theirs.write_text(
        'index-url = "https://c\\\\o\\"m/\\u007f😀"\nnative-tls = true\ncache-dir = "/x"\nallow-insecure-host = ["a", "b"]\n'
        '[[index]]\nname = "x"\nurl = "https://x/simple"\n[pip]\nindex-strategy = "first-index"\nprefix = "/y"\n',
        encoding="utf-8",
    )
    kept = tomllib.loads(settings.kept_settings({"UV_CONFIG_FILE": str(theirs)}, ""))
    said = tomllib.loads(theirs.read_text(encoding="utf-8"))
    expected = {name: said[name] for name in ("index-url", "native-tls", "allow-insecure-host", "index")}
    assert kept == {**expected, "index-strategy": "first-index"}
    assert tomllib.loads(settings.kept_settings({"UV_CONFIG_FILE": str(theirs)}, "https://y/simple")).keys() == {
        "native-tls", "allow-insecure-host",
    }  # fmt: skip
    theirs.write_bytes(b"\xff = [")
    assert settings.kept_settings({"UV_CONFIG_FILE": str(theirs)}, "") == ""


@pytest.mark.parametrize(
    ("rules", "versions"),
    [
        (">=3.11,<3.12", ["3.11"]),
        (">=3.11,<3.14", ["3.11", "3.12", "3.13"]),
        (">=3.12", ["3.12", "3.13"]),
        (">=3.11,!=3.12,<=3.13", ["3.11", "3.13"]),
    ],
)
def test_pythons_that_the_wheel_allows(rules: str, versions: list[str]) -> None:
    assert [version for version in ("3.11", "3.12", "3.13") if pythons._allows(rules, version)] == versions


def test_progress_by_what_uv_says() -> None:
    meter = Meter()
    meter.expect([Package("torch", "2.9", 300_000_000, False, ()), Package("numpy", "1.26", 100_000_000, False, ())])
    meter.take("Downloading torch (286.1MiB)")
    meter.take("Downloading numpy (95.4MiB)")
    assert meter.progress.words == "Downloading torch (300 MB) and 1 more; 400 MB in all"
    before = meter.progress.fraction
    meter.take(" Downloaded numpy")
    assert meter.progress.fraction > before and meter.progress.words.startswith("Downloading torch (300 MB);")
    meter.take("Installed 2 packages in 1ms")
    meter.take("Downloading torch (286.1MiB)")
    assert meter.progress.fraction >= 0.8


def archive_of(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = 2, 0o755
            packed.addfile(entry, io.BytesIO(b"#!"))
    return path


def test_a_python_that_is_packed(tmp_path: Path) -> None:
    program = "python/python.exe" if sys.platform == "win32" else "python/bin/python3"
    archive = archive_of(tmp_path / "cpython-3.11.tar.gz", [program])
    found = unpack_python(archive, tmp_path / "pythons")
    assert found.is_file() and (tmp_path / "pythons") in found.parents
    assert sys.platform == "win32" or found.stat().st_mode & 0o100
    archive.unlink()
    assert unpack_python(archive, tmp_path / "pythons") == found


def test_packed_pythons_that_are_none(tmp_path: Path) -> None:
    outside = archive_of(tmp_path / "outside.tar.gz", ["../../evil"])
    empty = archive_of(tmp_path / "empty.tar.gz", ["readme.txt"])
    (tmp_path / "cut.tar.gz").write_bytes(empty.read_bytes()[:20])
    for archive in (outside, empty, tmp_path / "cut.tar.gz"):
        with pytest.raises(PortraitError) as told:
            unpack_python(archive, tmp_path / "deep" / "pythons")
        assert told.value.code == ErrorCode.FILE_MISSING, archive
    assert not list(tmp_path.rglob("evil"))
