# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait bundle`: a folder of wheels for a machine without network, from an index on loopback, by the real uv."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from portrait_server.cli import main
from portrait_server.commands.bundle_files import Bundle, sha256
from portrait_server.commands.bundle_lock import Uv
from portrait_shared.errors import PortraitError

from tests.package_index import Index, make_wheel, serve_index

RELEASE = "0.1.0"


@pytest.fixture(autouse=True)
def needs_uv() -> None:
    try:
        Uv.found()
    except PortraitError:
        pytest.skip("the program uv is not there")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = tmp_path / "made"
    with serve_index() as index:
        index.add(
            make_wheel(made, "small-one", "1.0", {"small_one.py": "x = 1\n"}),
            make_wheel(made, "small-two", "2.0", {"small_two.py": "x = 2\n" * 9000}),
        )
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
        monkeypatch.setenv("UV_NO_CACHE", "1")
        for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield index


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(
        tmp_path / "server", "talking-portraits", RELEASE, {"portrait_server/__init__.py": ""}, needs=["small-one"],
        extras={"speech": ["small-two"], "live": []},
    )  # fmt: skip


def bundled(folder: Path, wheel: Path, *words: str) -> int:
    return main(["bundle", str(folder), "--platform", "linux-x64", "--python", "3.11", "--wheel", str(wheel), *words])


def told(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    return said


def test_the_folder_holds_all_wheels_and_their_hashes(index: Index, wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    assert bundled(folder, wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    said = told(folder)
    assert {key: said[key] for key in ("format", "release", "platform", "python", "backend", "python_archive")} == {
        "format": 1, "release": RELEASE, "platform": "macos-arm64", "python": "3.11", "backend": "mps",
        "python_archive": None,
    }  # fmt: skip
    names = {path.name for path in (folder / "wheels").iterdir()}
    assert {name.split("-")[0] for name in names} == {"talking_portraits", "small_one", "small_two"}
    assert set(said["files"]) == {f"wheels/{name}" for name in names}
    for name, file in said["files"].items():
        content = (folder / name).read_bytes()
        assert file == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def test_a_second_run_downloads_only_what_is_not_there(index: Index, wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    assert bundled(folder, wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    (folder / "wheels" / "small_two-2.0-py3-none-any.whl").write_bytes(b"damaged")
    stale = folder / "wheels" / "of_before-1.0-py3-none-any.whl"
    stale.touch()
    index.asked.clear()
    assert bundled(folder, wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    assert not stale.exists()
    assert sha256(folder / "wheels" / "small_two-2.0-py3-none-any.whl") in str(told(folder))
    assert zipfile.is_zipfile(folder / "wheels" / "small_two-2.0-py3-none-any.whl")


def test_a_broken_connection_is_taken_up_again(index: Index, wheel: Path, tmp_path: Path) -> None:
    index.breaks["small_two-2.0-py3-none-any.whl"] = 2
    assert bundled(tmp_path / "bundle", wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    assert zipfile.is_zipfile(tmp_path / "bundle" / "wheels" / "small_two-2.0-py3-none-any.whl")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a wrong hash", "its hash is another"),
        ("a login page", "uv has failed"),
        ("an index that refuses", "uv has failed"),
    ],
)
def test_what_is_wrong_is_told_and_no_list_is_written(
    index: Index, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, said: str
) -> None:
    folder = tmp_path / "bundle"
    if what == "a wrong hash":
        index.wrong_hashes.add("small_two-2.0-py3-none-any.whl")
    index.login = what == "a login page"
    index.status = 403 if what == "an index that refuses" else 0
    assert bundled(folder, wheel, "--backend", "mps", "--platform", "macos-arm64") == 1
    heard = capsys.readouterr().err
    assert heard.startswith("portrait bundle: ") and "Traceback" not in heard
    assert said in heard
    assert not (folder / "bundle.json").exists()


def test_an_index_with_a_password(index: Index, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.password = "open sesame"
    address = index.address.replace("http://", "http://anna:open%20sesame@")
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    assert bundled(tmp_path / "bundle", wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    assert "sesame" not in (tmp_path / "bundle" / "bundle.json").read_text(encoding="utf-8")


def test_the_servers_wheel_is_taken_out_of_the_extensions_zip(index: Index, wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "extension.zip", "w") as archive:
        archive.write(wheel, f"bin/{wheel.name}")
    zipped = tmp_path / "extension.zip"
    assert bundled(tmp_path / "bundle", zipped, "--backend", "mps", "--platform", "macos-arm64") == 0
    assert (tmp_path / "bundle" / "wheels" / wheel.name).read_bytes() == wheel.read_bytes()


def test_a_folder_with_other_files_is_left_alone(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    assert bundled(tmp_path / "mine", wheel, "--backend", "cpu") == 1
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--platform", "macos-arm64", "--backend", "cuda"], "no PyTorch for cuda"),
        (["--platform", "windows-x64", "--backend", "rocm"], "no PyTorch for rocm"),
    ],
)
def test_a_machine_that_cannot_be(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert bundled(tmp_path / "bundle", wheel, *words) == 1
    assert said in capsys.readouterr().err


def test_another_programs_zip_is_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert bundled(tmp_path / "bundle", other) == 1
    assert "holds no wheel of the server" in capsys.readouterr().err
    with Bundle.opened(tmp_path / "bundle"):
        pass


def test_two_runs_do_not_make_one_folder(
    index: Index, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bundle.opened(tmp_path / "bundle"):
        assert bundled(tmp_path / "bundle", wheel, "--backend", "mps", "--platform", "macos-arm64") == 1
    assert "just now" in capsys.readouterr().err
    assert bundled(tmp_path / "bundle", wheel, "--backend", "mps", "--platform", "macos-arm64") == 0
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["bundle.json", "wheels"]


@pytest.mark.skipif(os.name == "nt", reason="its programs are no scripts")
@pytest.mark.parametrize(
    ("program", "said"),
    [("\x7fELF of another system", "cannot be started"), ("#!/bin/sh\nexit 0\n", "no list of packages")],
)
def test_a_uv_that_is_none(
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    said: str,
) -> None:
    (tmp_path / "uv").write_text(program, encoding="utf-8")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("TALKING_PORTRAITS_UV", str(tmp_path / "uv"))
    assert bundled(tmp_path / "bundle", wheel) == 1
    assert said in capsys.readouterr().err


def test_a_damaged_zip_of_the_extension(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "extension.zip", "w") as archive:
        archive.write(wheel, f"bin/{wheel.name}")
    data = bytearray((tmp_path / "extension.zip").read_bytes())
    data[200:300] = bytes(100)
    (tmp_path / "extension.zip").write_bytes(data)
    assert bundled(tmp_path / "bundle", tmp_path / "extension.zip") == 1
    heard = capsys.readouterr().err
    assert "is damaged" in heard and "Traceback" not in heard


@pytest.mark.parametrize(
    "login", ["anna:a@s3cret@127.0.0.1:9/s", "anna:a/s3cret@127.0.0.1/s", "127.0.0.1:9/s?key=s3cret"]
)
def test_no_secret_of_an_index_is_told(
    index: Index,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    login: str,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{login}")
    assert bundled(tmp_path / "bundle", wheel, "--backend", "mps", "--platform", "macos-arm64") == 1
    assert "s3cret" not in capsys.readouterr().err
