# SPDX-License-Identifier: GPL-3.0-or-later
"""The server is installed by the real uv, from an index on loopback or from a folder: what goes well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from portrait_shared.errors import ErrorCode, PortraitError

from blender_addon.installation import environments, layout, plans, steps
from blender_addon.installation.choices import Choice
from tests.blender.server_wheels import RELEASE, Place, server_wheel
from tests.waiting import wait_until

SERVER_SLEEPS = """
import sys, time
def main():
    if sys.argv[1] == "--version":
        print("Talking Portraits 0.1.0")
    elif sys.argv[1] == "serve":
        print("up", flush=True)
        time.sleep(3600)
"""


def tree(folder: Path) -> dict[str, int]:
    """Every file and folder beneath, with when it was changed."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_it_is_installed_and_answers(installing: Place) -> None:
    assert environments.installed(installing.folder) is None and environments.broken(installing.folder) == ""
    made = installing.install()
    assert (made.release, made.backend) == (RELEASE, "cpu")
    assert environments.installed(installing.folder) == made and environments.broken(installing.folder) == ""
    said = subprocess.run([made.program, "--version"], capture_output=True, text=True, check=True).stdout
    assert RELEASE in said
    packages = layout.packages_in(made.program.parents[1])
    assert packages is not None and list(packages.glob("small_two/__pycache__/*.pyc")), "nothing is compiled"


def test_both_extras_are_wanted(installing: Place) -> None:
    installing.install()
    assert any(name.startswith("small_two") for name in installing.index.files_asked)


def test_what_the_system_misses_is_noted(installing: Place) -> None:
    installation = installing.run()
    assert any("libEGL.so.1" in note and "apt-get install libegl1" in note for note in installation.notes)


def test_pytorch_comes_from_the_index_at_hand_where_its_own_is_out_of_reach(installing: Place) -> None:
    installation = installing.run()
    assert installation.error is None
    assert any("PyTorch's own index cannot be reached" in note for note in installation.notes)
    assert "PyTorch's own index cannot be reached" in installation.log_file.read_text(encoding="utf-8")


def test_progress_goes_forward_to_its_end(installing: Place) -> None:
    installation = installing.begin()
    seen = [installation.progress.fraction]
    wait_until(lambda: installation.done, lambda: seen.append(installation.progress.fraction))
    assert seen == sorted(seen) and installation.progress.fraction == 1.0
    assert installation.error is None


def test_nothing_outside_the_folder_is_touched(
    installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home / ".config", home / ".local" / "bin", home / ".cache", work):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    monkeypatch.setenv("TMPDIR", str(work))
    monkeypatch.chdir(work)
    before = tree(tmp_path)
    installing.install()
    installing.install(repair=True)
    environments.remove(installing.folder)
    changed = {name for name, when in tree(tmp_path).items() if before.get(name) != when}
    on_the_way = [path for path in installing.folder.parents if tmp_path in path.parents]
    assert changed <= {str(path.relative_to(tmp_path)) for path in on_the_way}
    assert before.keys() <= tree(tmp_path).keys()


def test_blenders_python_does_not_leak(installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "blender's"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blender's"))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "another"))
    monkeypatch.setenv("UV_TARGET", str(tmp_path / "another"))
    monkeypatch.setenv("UV_REQUIRE_HASHES", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another"))
    assert environments.installed(installing.folder) is None
    installing.install()
    assert not (tmp_path / "another").exists()


def test_of_the_users_settings_only_indexes_count(
    installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        f'cache-dir = "{(tmp_path / "another").as_posix()}"\n'
        f'[[index]]\nname = "company"\nurl = "{installing.index.address}"\ndefault = true\n'
        f'[pip]\ntarget = "{(tmp_path / "another").as_posix()}"\nno-deps = true\n',
        encoding="utf-8",
    )
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    installing.install(Choice("cpu", python=installing.choice.python))
    assert len(installing.index.files_asked) >= 3 and not (tmp_path / "another").exists()


def test_a_proxy_is_used(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{installing.index.port}")
    installing.install(Choice("cpu", "http://packages.invalid/simple", python=installing.choice.python))


def test_an_index_with_a_password(installing: Place) -> None:
    installing.index.password = "s3cret"
    refused = installing.run()
    assert refused.error is not None and refused.error.code == ErrorCode.NOT_ALLOWED
    address = installing.index.address.replace("://", "://anna:s3cret@")
    installation = installing.run(Choice("cpu", address, python=installing.choice.python))
    assert installation.error is None, installation.last_lines
    kept = [path for path in installing.folder.iterdir() if path.is_file() and path.name != layout.UV]
    assert not any(b"s3cret" in path.read_bytes() for path in kept)


def test_from_a_folder_nothing_is_asked_of_any_network(installing: Place) -> None:
    made = installing.install(installing.folder_choice)
    assert made.release == RELEASE and installing.index.asked == []


def test_a_python_that_is_there_is_found_without_any_network(
    installing: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    monkeypatch.setenv("PATH", os.pathsep.join([str(base.parent), os.environ["PATH"]]))
    installing.install(Choice("cpu", wheels=installing.wheels))


def test_an_update_leaves_the_old_server_until_the_new_one_works(
    installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = installing.install()
    does_not_start = server_wheel(tmp_path / "next", "0.2.0", "def main():\n    raise ValueError('nobody knows why')\n")
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(does_not_start))
    failed = installing.run()
    assert failed.error is not None and "nobody knows why" in failed.error.message
    assert environments.installed(installing.folder) == old
    subprocess.run([old.program, "--version"], check=True, capture_output=True)
    assert len(layout.environments(installing.folder)) == 1, "the failed one was not cleared away"

    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(server_wheel(tmp_path / "next", "0.2.0")))
    new = installing.install()
    assert new.release == "0.2.0" and not old.program.exists()
    assert layout.environments(installing.folder) == [new.program.parents[1]]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_server_that_runs_keeps_its_files(installing: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(server_wheel(tmp_path / "bin", main=SERVER_SLEEPS)))
    old = installing.install()
    with subprocess.Popen([old.program, "serve"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == b"up\n"
        installing.install()
        assert old.program.is_file()
        with pytest.raises(PortraitError) as refused:
            environments.remove(installing.folder)
        assert refused.value.code == ErrorCode.BUSY and environments.installed(installing.folder) is not None
        server.kill()
    environments.remove(installing.folder)
    assert not installing.folder.exists()


def test_a_second_installation_downloads_nothing_again(installing: Place) -> None:
    installing.install()
    asked = len(installing.index.files_asked)
    installing.install()
    assert len(installing.index.files_asked) == asked


def test_repair_mends_a_file_that_was_changed_also_as_it_was_kept(installing: Place) -> None:
    made = installing.install()
    packages = layout.packages_in(made.program.parents[1])
    assert packages is not None
    weights = packages / "torch" / "weights.bin"
    good = weights.read_bytes()
    kept = next((installing.folder / "cache").rglob("weights.bin"))
    for path in {weights.resolve(), kept.resolve()}:
        with path.open("r+b") as file:  # hard links of one file, or two
            file.seek(1000)
            file.write(b"rotten")
    installing.install()
    changed = layout.packages_in(environments.installed(installing.folder).program.parents[1])  # type: ignore[union-attr]
    assert changed is not None and (changed / "torch" / "weights.bin").read_bytes() != good, "the test tests nothing"
    repaired = installing.install(repair=True)
    mended = layout.packages_in(repaired.program.parents[1])
    assert mended is not None and (mended / "torch" / "weights.bin").read_bytes() == good


def test_what_is_left_of_a_server_is_told(installing: Place) -> None:
    made = installing.install()
    made.program.unlink()
    assert environments.installed(installing.folder) is None and "repair" in environments.broken(installing.folder)
    (installing.folder / layout.MARK).write_text("{", encoding="utf-8")
    assert "repair" in environments.broken(installing.folder)
    installing.install()
    assert environments.broken(installing.folder) == ""


def test_a_plan_tells_all_of_it_and_changes_nothing(installing: Place) -> None:
    plan = plans.plan(installing.choice, installing.folder)
    assert plan.place == installing.folder and not installing.folder.exists()
    assert plan.free_bytes > 0 and plan.download_bytes < plan.disk_bytes
    assert str(installing.folder) in plan.words[0] and "PyTorch" in " ".join(plan.words)
    assert plans.plan(installing.folder_choice, installing.folder).download_bytes == 0
    assert installing.index.asked == []


def test_two_at_once(installing: Place) -> None:
    installing.index.held = {"torch-2.9.0-py3-none-any.whl"}
    first = installing.begin()
    wait_until(installing.index.begun.is_set, note=lambda: first.last_lines)
    second = installing.run()
    assert second.error is not None and second.error.code == ErrorCode.BUSY
    assert f"process {os.getpid()}" in second.error.message
    with pytest.raises(PortraitError) as refused:
        environments.remove(installing.folder)
    assert refused.value.code == ErrorCode.BUSY
    wait_until(lambda: "Downloading torch" in first.progress.words, note=lambda: first.progress)
    installing.index.let_go.set()
    assert first.join(600) and first.error is None, first.last_lines


def test_a_cancelled_one_ends_at_once_with_all_its_processes(installing: Place) -> None:
    installing.index.held = {"torch-2.9.0-py3-none-any.whl"}
    installation = installing.begin()
    wait_until(installing.index.begun.is_set, note=lambda: installation.last_lines)
    installation.cancel()
    assert installation.join(600)
    assert installation.error is not None and installation.error.code == ErrorCode.CANCELLED
    assert environments.installed(installing.folder) is None and environments.broken(installing.folder)
    assert not layout.environments(installing.folder)
    installing.index.held = set()
    installing.install()


def test_a_pause_between_tries_is_cancelled(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES_SECONDS", (3600.0,))
    installing.index.status = 503
    installation = installing.begin()
    wait_until(lambda: any(line.startswith("Trying again") for line in installation.last_lines))
    threading.Thread(target=installation.cancel).start()
    assert installation.join(600)
    assert installation.error is not None and installation.error.code == ErrorCode.CANCELLED


def test_passing_troubles_are_sat_out(installing: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES_SECONDS", (0.0,) * 4)
    installing.index.breaks = {"torch-2.9.0-py3-none-any.whl": 3}
    installation = installing.run()
    assert installation.error is None, installation.last_lines
    assert any(line.startswith("Trying again") for line in installation.last_lines)
