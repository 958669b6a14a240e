# SPDX-License-Identifier: GPL-3.0-or-later
"""The test command: what it runs, and that skips and empty suites make it fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import run_all
from tests.blender import versions
from tests.conftest import LIST, expected

ROOT = Path(__file__).resolve().parents[2]
PASSES = "def test_fine(): pass\n"
SKIPS = "import pytest\ndef test_other(): pytest.skip('because')\n"
ALLOWED = "[[skip]]\nreason = 'be.*'\ntests = ['tests/test_one.py']\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project with this one's conftest."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "tests" / LIST.name).write_text(ALLOWED)
    return tmp_path


def pytest_on(project: Path, *arguments: str, **files: str) -> tuple[int, str]:
    for name, content in files.items():
        (project / "tests" / f"test_{name}.py").write_text(content)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_expected_skips_are_fine_and_no_others(project: Path) -> None:
    assert pytest_on(project, one=PASSES + SKIPS)[0] == 0
    status, said = pytest_on(project, one=PASSES + SKIPS, two=PASSES + SKIPS)
    assert status == 1 and "tests/test_two.py::test_other skipped, which is not expected: because" in said
    (project / "tests" / "test_two.py").unlink()
    assert pytest_on(project, one=PASSES + SKIPS.replace("because", "for nothing"))[0] == 1


def test_a_file_that_skips_as_a_whole_counts_too(project: Path) -> None:
    status, said = pytest_on(project, one=PASSES, two="import pytest\npytest.importorskip('no_such_package')\n")
    assert status == 1 and "tests/test_two.py skipped, which is not expected: could not import" in said


def test_a_skip_is_expected_only_where_its_condition_holds(project: Path) -> None:
    (project / "tests" / LIST.name).write_text(ALLOWED + "without = 'films'\n")
    assert pytest_on(project, one=PASSES + SKIPS)[0] == 0
    (project / "films").mkdir()
    assert pytest_on(project, one=PASSES + SKIPS)[0] == 1
    (project / "tests" / LIST.name).write_text(ALLOWED + "platforms = ['amiga']\n")
    assert pytest_on(project, one=PASSES + SKIPS)[0] == 1


def test_files_without_tests_and_runs_without_a_pass_fail(project: Path) -> None:
    files = ["tests/test_one.py", "tests/test_two.py"]
    assert pytest_on(project, "--whole-files", *files, one=PASSES, two=PASSES)[0] == 0
    status, said = pytest_on(project, "--whole-files", *files, one=PASSES, two="def tost_fine(): pass\n")
    assert status == 1 and "tests/test_two.py holds no test" in said
    status, said = pytest_on(project, "--whole-files", files[0], one=SKIPS)
    assert status == 1 and "no test passed" in said
    assert pytest_on(project, "--whole-files", "tests/test_three.py")[0] != 0


def test_no_suite_is_empty_and_every_file_is_run() -> None:
    assert run_all.missing_suites() == []
    steps = run_all.all_steps(["4.2"])
    assert {f"tests/{suite}" for suite in run_all.SUITES} < set(steps) and "Blender 4.2" in steps
    files = [word for command in steps.values() for word in command if word.endswith(".py") and "/test_" in word]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(files) == len(set(files)) and set(files) <= there, "no file is run twice"
    assert all(file.startswith("tests/blender/") for file in there - set(files)), "the other Blenders run these"


def test_what_no_other_blender_runs_is_run_beside_the_server() -> None:
    command = run_all.all_steps(["4.2"])["tests/blender"]
    asked = [sys.executable, *command[1:], "--collect-only", "-q"]
    collected = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True).stdout
    for test in ("test_tuning_is_kept_beside_the_file", "test_the_same_source_gives_the_same_bytes"):
        assert f"::{test}" in collected
    assert "test_the_servers_state_is_one_line" not in collected, "which the other Blenders run"


@pytest.mark.parametrize("newest", ["skipped", "ok"])
def test_without_another_blender_the_extension_is_tested_here(monkeypatch: pytest.MonkeyPatch, newest: str) -> None:
    outcomes = {"Blender 4.2": "skipped", "Blender 5.2": newest}
    ran: dict[str, list[str]] = {}

    def run(name: str, command: list[str], jobs: int = 1) -> str:
        ran[name] = command
        return outcomes.get(name, "FAILED" if "other Blenders" in name else "ok")

    monkeypatch.setattr(run_all, "run", run)
    monkeypatch.setattr(sys, "argv", ["run_all.py"])
    assert run_all.main() == (newest == "skipped")
    here = [command for command in ran.values() if "not servers_environment" in command]
    assert [set(run_all.files_of("blender")) <= set(command) for command in here] == [True] * (newest == "skipped")


def test_a_suite_that_vanishes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = run_all.SUITES
    monkeypatch.setattr(run_all, "SUITES", ("gone", *rest))
    assert run_all.missing_suites() == ["tests/gone has no tests"]
    steps = run_all.all_steps([])
    assert "tests/gone" not in steps, "pytest without files would run all"
    assert f"tests/{first}" in steps, "one that is not listed runs all the same"


def test_a_step_fails_as_its_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_all.run("one", [sys.executable, "-c", "print('said')"]) == "ok"
    assert run_all.run("other", [sys.executable, "-c", "import sys; sys.exit('no')"]).startswith("FAILED")
    assert run_all.run("third", [sys.executable, "-c", f"import sys; sys.exit({versions.SKIPPED})"]) == "skipped"
    said = capsys.readouterr().out
    assert "said\n== one: ok" in said and "no\n== other: FAILED (status 1)" in said


@pytest.mark.parametrize(("ci", "state"), [("true", "FAILED"), (None, "skipped")])
def test_a_blender_that_is_not_here_is_a_failure_in_ci_alone(
    monkeypatch: pytest.MonkeyPatch, ci: str | None, state: str
) -> None:
    def no_index(*_: object) -> Path:
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(versions, "environment_python", no_index)
    without_python = versions.test(versions.Blender("9.9", "9.99", ()), ())
    without_blender = versions.test(versions.Blender("9.9", "3.11", ()), ())
    assert without_python.state == without_blender.state == state
    assert "no Python 9.99" in str(without_python) and "no environment" in str(without_blender)


def test_the_readme_names_every_blender_that_is_tested() -> None:
    (line,) = (line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if "It runs in Blender" in line)
    assert re.findall(r"\d+\.\d+", line.split(". The")[0]) == [blender.version for blender in versions.BLENDERS]


def test_the_list_of_skips_fits_the_tests() -> None:
    """An entry whose files are gone expects nothing any more."""
    for entry in tomllib.loads(LIST.read_text("utf-8"))["skip"]:
        for glob in entry["tests"]:
            assert any(ROOT.glob(glob if glob.endswith(".py") else f"{glob}*/*.py")), glob
        assert not expected("elsewhere/test_x.py", entry["reason"], [entry])
