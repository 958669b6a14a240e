# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while the server is installed or removed: each a sentence, a remedy, and what was there before stays."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from portrait_shared.errors import ErrorCode, PortraitError

from blender_addon.installation import claims, environments, layout, orphans, plans, steps, uv_failures
from blender_addon.installation.choices import Choice
from blender_addon.installation.wheels_folder import this_platform
from tests.blender.server_wheels import RELEASE, Place, needed_wheels
from tests.small_disk import small_disk
from tests.waiting import wait_until

TORCH = "torch-2.9.0-py3-none-any.whl"
INSTALLS = """
import sys
from pathlib import Path
from blender_addon.installation.choices import Choice
from blender_addon.installation.installing import Installation
installation = Installation(Path(sys.argv[1]))
installation.start(Choice("cpu", sys.argv[2], python=sys.executable))
installation.join()
"""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES_SECONDS", (0.0,))


def refused(place: Place, choice: Choice | None = None) -> PortraitError:
    """What an installation comes to that fails, which is told and leaves no half-made environment."""
    before = environments.installed(place.folder)
    installation = place.run(choice)
    assert installation.error is not None and installation.result is None, installation.last_lines
    assert installation.error.message.endswith(".") and installation.error.remedy
    assert "Traceback" not in str(installation.error) and "cause:" not in str(installation.error)
    assert environments.installed(place.folder) == before
    assert len(layout.environments(place.folder)) == (before is not None)
    return installation.error


def test_a_login_page(installing: Place) -> None:
    installing.index.login = True
    error = refused(installing)
    assert error.code == ErrorCode.SERVER_UNAVAILABLE and "login page" in error.message and "sign in" in error.remedy


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_a_login_page_that_is_no_page(installing: Place, kind: str) -> None:
    installing.index.login, installing.index.login_type = True, kind
    error = refused(installing)
    assert error.code == ErrorCode.SERVER_UNAVAILABLE and "login page" in error.message


def test_a_wrong_hash(installing: Place) -> None:
    installing.index.wrong_hashes = {TORCH}
    error = refused(installing)
    assert error.code == ErrorCode.NOT_ALLOWED and "torch" in error.message and "hash" in error.message
    installing.index.wrong_hashes = set()
    installing.install()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, ErrorCode.NOT_ALLOWED, "password"),
        (403, ErrorCode.NOT_ALLOWED, "password"),
        (404, ErrorCode.FILE_MISSING, "torch is not in the index"),
        (407, ErrorCode.SERVER_UNAVAILABLE, "proxy"),
        (500, ErrorCode.SERVER_UNAVAILABLE, "cannot be reached"),
        (503, ErrorCode.SERVER_UNAVAILABLE, "cannot be reached"),
    ],
)
def test_what_an_index_answers(installing: Place, status: int, code: ErrorCode, words: str) -> None:
    installing.index.status = status
    error = refused(installing)
    assert (error.code, words in error.message) == (code, True), error


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/simple", "http://nowhere.invalid/simple"])
def test_no_network(installing: Place, address: str) -> None:
    error = refused(installing, Choice("cpu", address, python=sys.executable))
    assert error.code == ErrorCode.SERVER_UNAVAILABLE and "Install from Folder" in error.remedy


def test_a_proxy_that_is_not_there(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    error = refused(installing)
    assert error.code == ErrorCode.SERVER_UNAVAILABLE and "proxy" in error.remedy


def test_an_index_without_a_certificate(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    address = installing.index.address.replace("http:", "https:")  # which it does not speak
    error = refused(installing, Choice("cpu", address, python=sys.executable))
    assert error.code == ErrorCode.SERVER_UNAVAILABLE


@pytest.mark.parametrize("address", ["htp:/x", "packages.example.com", "https://", "http://two words/", "http://[::1"])
def test_an_address_that_is_none(installing: Place, address: str) -> None:
    with pytest.raises(PortraitError) as told:
        plans.plan(Choice("cpu", address), installing.folder)
    assert told.value.code == ErrorCode.BAD_CONFIGURATION
    assert refused(installing, Choice("cpu", address)).code == ErrorCode.BAD_CONFIGURATION


def test_a_connection_that_always_breaks(installing: Place) -> None:
    installing.index.breaks = {TORCH: 1000}
    assert refused(installing).code == ErrorCode.SERVER_UNAVAILABLE


def test_after_a_broken_connection_what_was_whole_is_kept(installing: Place) -> None:
    installing.index.held, installing.index.breaks = {TORCH}, {TORCH: 1000}
    installation = installing.begin()
    cache = installing.folder / "cache"
    wait_until(lambda: all(list(cache.glob(f"wheels-*/**/{name}/*.http")) for name in ("small-one", "small-two")))
    wait_until(installing.index.begun.is_set)
    installing.index.let_go.set()
    assert installation.join(600) and installation.error is not None
    asked = len(installing.index.files_asked)
    installing.index.held, installing.index.breaks = set(), {}
    installing.install()
    assert set(installing.index.files_asked[asked:]) == {TORCH}


def test_a_package_that_is_no_zip(installing: Place) -> None:
    installing.index.wheels[TORCH].write_bytes(b"no zip" * 1000)
    assert refused(installing).code == ErrorCode.NOT_ALLOWED
    assert refused(installing, installing.folder_choice).code == ErrorCode.NOT_ALLOWED


def test_a_package_that_is_missing(installing: Place) -> None:
    del installing.index.wheels["small_two-1.0-py3-none-any.whl"]
    error = refused(installing)
    assert error.code == ErrorCode.FILE_MISSING and "small-two" in error.message


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_one_that_is_killed_is_mended_by_the_next(installing: Place) -> None:
    installing.index.held = {TORCH}
    command = [sys.executable, "-c", INSTALLS, str(installing.folder), installing.index.address]
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, os.path.join(root, "shared")])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}) as blender:
        wait_until(installing.index.begun.is_set)
        blender.send_signal(signal.SIGKILL)
        blender.wait()
    assert orphans.groups(installing.folder), "its uv has ended: the test shows nothing"
    assert environments.installed(installing.folder) is None and environments.broken(installing.folder)
    installing.index.held = set()
    installing.install()
    assert len(layout.environments(installing.folder)) == 1
    assert not orphans.groups(installing.folder)


def test_what_is_not_its_own_kind_of_file_is_replaced(installing: Place, tmp_path: Path) -> None:
    installing.install()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").touch()
    for name in (*layout.FOLDERS, layout.UV, layout.SETTINGS, layout.MARK):
        environments.remove_tree(installing.folder / name)
    for name in layout.FOLDERS:
        (installing.folder / name).touch()
    environments.remove_tree(installing.folder / "cache")
    (installing.folder / "cache").symlink_to(tmp_path / "outside")
    for name in (layout.UV, layout.SETTINGS, layout.MARK):
        (installing.folder / name).mkdir()
    installing.install()
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["letter"]


def test_a_disk_that_is_too_small_is_told_before_the_download(installing: Place, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "120m"):
        place = Place(tmp_path / "disk" / "server", installing.index, installing.wheels)
        assert not plans.plan(place.choice, place.folder).fits
        error = refused(place)
        assert error.code == ErrorCode.DISK_FULL and "120 MB" not in error.message and "free" in error.message
        assert TORCH not in installing.index.files_asked


def test_a_disk_that_gets_full(installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_SPARE_BYTES", -(10**9))
    uv_bytes = os.path.getsize(os.environ["TALKING_PORTRAITS_UV"])
    with small_disk(tmp_path / "disk", str(uv_bytes + 2_000_000)):
        place = Place(tmp_path / "disk" / "server", installing.index, installing.wheels)
        assert refused(place).code == ErrorCode.DISK_FULL
        environments.remove(place.folder)
        assert not place.folder.exists()


@pytest.mark.skipif(os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="this user may write anywhere")
def test_a_folder_that_cannot_be_written(installing: Place) -> None:
    installing.folder.parent.mkdir(parents=True)
    installing.folder.parent.chmod(0o555)
    try:
        assert refused(installing).code == ErrorCode.OUTPUT_NOT_WRITABLE
        with pytest.raises(PortraitError) as told:
            plans.plan(installing.choice, installing.folder)
        assert told.value.code == ErrorCode.OUTPUT_NOT_WRITABLE
    finally:
        installing.folder.parent.chmod(0o755)


def test_a_disk_that_cannot_be_written_to(installing: Place, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "300m"):
        place = Place(tmp_path / "disk" / "server", installing.index, installing.wheels)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        installation = place.run()
        assert installation.error is not None and installation.error.code == ErrorCode.OUTPUT_NOT_WRITABLE
        with pytest.raises(PortraitError) as told:
            plans.plan(place.choice, place.folder)
        assert told.value.code == ErrorCode.OUTPUT_NOT_WRITABLE


def test_a_disk_that_programs_may_not_run_from(installing: Place, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "400m"):
        subprocess.run(["mount", "-o", "remount,noexec", str(tmp_path / "disk")], check=True)
        error = refused(Place(tmp_path / "disk" / "server", installing.index, installing.wheels), Choice("cpu"))
        assert error.code == ErrorCode.FILE_MISSING and "noexec" in error.remedy


def test_a_folder_whose_place_is_a_file(installing: Place) -> None:
    installing.folder.parent.parent.mkdir(parents=True)
    installing.folder.parent.write_text("mine", encoding="utf-8")
    installation = installing.run()
    assert installation.error is not None and installation.error.code == ErrorCode.NOT_ALLOWED
    assert installation.error.message == f"{installing.folder.parent} is a file."
    assert installing.folder.parent.read_text(encoding="utf-8") == "mine"


def test_the_folders_of_others_are_left_alone(installing: Place, tmp_path: Path) -> None:
    theirs = installing.folder
    theirs.mkdir(parents=True)
    (theirs / "cache").mkdir()
    (theirs / "cache" / "thesis.txt").write_text("mine", encoding="utf-8")
    for act in (lambda: environments.remove(theirs), lambda: plans.plan(installing.choice, theirs)):
        with pytest.raises(PortraitError) as told:
            act()
        assert told.value.code == ErrorCode.NOT_ALLOWED
    installation = installing.run()
    assert installation.error is not None and installation.error.code == ErrorCode.NOT_ALLOWED
    assert [path.name for path in theirs.rglob("*")] == ["cache", "thesis.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_links_are_never_followed(installing: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("mine", encoding="utf-8")
    installing.install()
    environments.remove_tree(installing.folder / "cache")
    (installing.folder / "cache").symlink_to(elsewhere)
    (installing.folder / "e9").symlink_to(elsewhere)
    environments.remove(installing.folder)
    assert not installing.folder.exists() and (elsewhere / "thesis.txt").is_file()
    installing.folder.symlink_to(elsewhere)
    for act in (environments.remove, lambda folder: plans.plan(installing.choice, folder)):
        with pytest.raises(PortraitError) as told:
            act(installing.folder)
        assert told.value.code == ErrorCode.NOT_ALLOWED and "link" in told.value.message
    assert installing.run().error.code == ErrorCode.NOT_ALLOWED  # type: ignore[union-attr]
    assert [path.name for path in elsewhere.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_what_killed_programs_left_is_not_looked_for_behind_links(installing: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    installing.install()
    for name in ("cache", "tmp"):
        (elsewhere / ".tmp").write_text("mine", encoding="utf-8")
        environments.remove_tree(installing.folder / name)
        (installing.folder / name).symlink_to(elsewhere)
        environments.sweep(installing.folder)
        assert (elsewhere / ".tmp").is_file()


@pytest.mark.skipif(os.name == "nt", reason="On Windows a file that is open cannot be removed")
def test_a_place_that_is_claimed_while_it_is_left_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with claims.claim(folder):
        claims.forget(folder)
        with claims.claim(folder):  # another Blender, before this one has gone on
            claims.leave(folder)
            assert claims.is_own(folder)
            with pytest.raises(PortraitError) as told, claims.claim(folder):
                pass
            assert told.value.code == ErrorCode.BUSY
    claims.leave(folder)
    assert claims.is_own(folder)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may write anywhere")
def test_folders_that_nobody_may_open_are_removed(tmp_path: Path) -> None:
    shut = tmp_path / "tree" / "shut"
    shut.mkdir(parents=True)
    (shut / "file").touch()
    shut.chmod(0)
    environments.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_an_environment_without_its_program_does_not_replace_the_server(installing: Place) -> None:
    installing.install()
    before = environments.installed(installing.folder)
    with pytest.raises(PortraitError) as told:
        environments.complete(installing.folder, installing.folder / "e9", RELEASE, "3.11.9", "cpu")
    assert told.value.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert before is not None and environments.installed(installing.folder) == before


def test_files_of_others_stay_where_the_server_is_removed(installing: Place) -> None:
    installing.install()
    (installing.folder / "notes.txt").write_text("mine", encoding="utf-8")
    environments.remove(installing.folder)
    assert [path.name for path in installing.folder.iterdir()] == ["notes.txt"]
    environments.remove(installing.folder / "never there")


def test_a_zip_that_lacks_uv_or_the_wheel(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TALKING_PORTRAITS_UV", "TALKING_PORTRAITS_SERVER_WHEEL"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(installing.folder / "none"))
            with pytest.raises(PortraitError) as told:
                plans.plan(installing.choice, installing.folder)
            assert told.value.code == ErrorCode.FILE_MISSING
            assert refused(installing).code == ErrorCode.FILE_MISSING


def test_pythons_that_do_not_fit(installing: Place, tmp_path: Path) -> None:
    for asked in ("3.8", "2.7", str(tmp_path / "no python"), os.environ["TALKING_PORTRAITS_UV"]):
        error = refused(installing, Choice("cpu", installing.index.address, python=asked))
        assert error.code == ErrorCode.BAD_CONFIGURATION and "3.11" in error.remedy, asked


def test_no_python_and_none_to_be_had(installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9/pythons")
    error = refused(installing, Choice("cpu", installing.index.address))
    assert error.code == ErrorCode.SERVER_UNAVAILABLE and "python.org" in error.remedy, error
    error = refused(installing, Choice("cpu", wheels=installing.wheels))
    assert error.code == ErrorCode.FILE_MISSING and "Python" in error.message


def test_backends_that_no_system_has(installing: Place) -> None:
    for backend in ("mps",) if sys.platform != "darwin" else ("cuda",):
        assert refused(installing, Choice(backend)).code == ErrorCode.BAD_CONFIGURATION  # type: ignore[arg-type]
    assert refused(installing, Choice("tpu")).code == ErrorCode.BAD_CONFIGURATION  # type: ignore[arg-type]


def test_a_server_that_lacks_a_library(installing: Place, tmp_path: Path) -> None:
    torch = "raise ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')\n"
    installing.index.add(*needed_wheels(tmp_path / "others", torch))
    error = refused(installing)
    assert "libcuda.so.1" in error.remedy


def bundle(place: Place, **changed: Any) -> Choice:
    """A folder as `portrait bundle` makes it, with another word here and there."""
    files = {
        f"wheels/{path.name}": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        for path in needed_wheels(place.folder.parent / "bundle" / "wheels")
    }
    said = {
        "format": 1, "release": RELEASE, "platform": this_platform(), "backend": "cpu", "files": files,
        "python": f"3.{sys.version_info[1]}", "python_archive": None,
    }  # fmt: skip
    folder = place.folder.parent / "bundle"
    (folder / "bundle.json").write_text(json.dumps(said | changed), encoding="utf-8")
    return Choice("cpu", wheels=folder, python=sys.executable)


def test_a_bundle_is_installed(installing: Place) -> None:
    installing.install(bundle(installing))
    assert installing.index.asked == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"release": "9.9"}, ErrorCode.VERSION_MISMATCH),
        ({"platform": "amiga-m68k"}, ErrorCode.BAD_CONFIGURATION),
        ({"format": 2}, ErrorCode.VERSION_MISMATCH),
        ({"files": {"wheels/torch-2.9.0-py3-none-any.whl": {"sha256": "0" * 64, "size": 1}}}, ErrorCode.NOT_ALLOWED),
        ({"files": {"wheels/absent.whl": {"sha256": "0" * 64, "size": 1}}}, ErrorCode.FILE_MISSING),
        ({"files": {"../outside.whl": {"sha256": "0" * 64, "size": 1}}}, ErrorCode.BAD_CONFIGURATION),
        ({"files": 7}, ErrorCode.BAD_CONFIGURATION),
        ({"python": "3.8"}, ErrorCode.BAD_CONFIGURATION),
        ({"python_archive": "wheels/torch-2.9.0-py3-none-any.whl"}, ErrorCode.FILE_MISSING),
    ],
)
def test_bundles_that_do_not_fit(installing: Place, changed: dict[str, Any], code: ErrorCode) -> None:
    choice = bundle(installing, **changed)
    assert choice.wheels is not None
    error = refused(installing, Choice("cpu", wheels=choice.wheels))
    assert error.code == code, error


def test_folders_that_are_none(installing: Place, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "empty", tmp_path / "a file", tmp_path / "absent"):
        assert refused(installing, Choice("cpu", wheels=folder)).code == ErrorCode.FILE_MISSING
    (tmp_path / "empty" / "bundle.json").write_text("{" * 100_000, encoding="utf-8")
    needed_wheels(tmp_path / "empty")
    assert refused(installing, Choice("cpu", wheels=tmp_path / "empty")).code == ErrorCode.BAD_CONFIGURATION


def test_what_uv_never_said_before_is_told_without_secrets() -> None:
    for address in (
        "anna:s3cret@host/simple",
        "anna:a@s3cret@host/simple",
        "anna:1/s3cret@host/s",
        "host/simple?token=s3cret",
    ):
        error = uv_failures.failure([f"error: quantum flux at https://{address}"], "Choosing the packages")
        assert error.code == ErrorCode.INTERNAL and "s3cret" not in str(error) and "quantum flux" in error.message


def test_no_secret_of_an_address_is_written_down(installing: Place) -> None:
    port = installing.index.port
    for address in (
        f"anna:wr0ng@s3cret@127.0.0.1:{port}/s", "anna:a/s3cret@127.0.0.1/s", "anna:1/s3cret@127.0.0.1/s", "127.0.0.1:9/s?key=s3cret"
    ):  # fmt: skip
        installation = installing.run(Choice("cpu", f"http://{address}", python=sys.executable))
        assert installation.error is not None and "s3cret" not in str(installation.error)
        log = installation.log_file.read_text(encoding="utf-8") if installation.log_file.exists() else ""
        assert "s3cret" not in log and "s3cret" not in " ".join(installation.last_lines), address


def test_a_setting_of_uvs_that_it_does_not_understand(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://anna:a/s3cret@127.0.0.1/s")
    error = refused(installing, Choice("cpu", python=sys.executable))
    assert error.code == ErrorCode.BAD_CONFIGURATION and "--default-index" in error.message and "UV_" in error.remedy


def test_an_uv_for_another_system(installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").write_bytes(b"MZ another system")
    monkeypatch.setenv("TALKING_PORTRAITS_UV", str(tmp_path / "uv"))
    error = refused(installing)
    assert "another system" in error.message and "zip for your system" in error.remedy
