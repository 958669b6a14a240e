# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has to hold beside its tests: skips are expected ones (expected_skips.toml), and no file of tests is empty.

It runs in the environments of other Blenders too, which have no package of the project's but these.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("expected_skips.toml")


def expected(test: str, reason: str, entries: Sequence[dict[str, Any]]) -> bool:
    """Whether a test, by its path or node id from the repository's root, may skip for that reason."""
    file = test.split("::")[0]
    return any(
        re.fullmatch(entry["reason"], reason) is not None
        and any(fnmatch(file, glob) for glob in entry["tests"])
        and sys.platform in entry.get("platforms", [sys.platform])
        and not ("without" in entry and (ROOT / entry["without"]).exists())
        for entry in entries
    )


class Watch:
    """Follows one run."""

    def __init__(self, whole_files: bool) -> None:
        self.entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["skip"]
        self.whole_files = whole_files
        self.passed = 0
        self.troubles: list[str] = []
        self._skipped_files: set[Path] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped_files.add(ROOT / report.nodeid)
            self._skipped(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped(report)
        self.passed += report.when == "call" and report.passed

    def _skipped(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not expected(report.nodeid, reason, self.entries):
            self.troubles.append(f"{report.nodeid} skipped, which is not expected: {reason}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.whole_files:
            return
        there = {item.path for item in session.items} | self._skipped_files
        for argument in session.config.args:
            if (ROOT / argument).resolve() not in there:
                self.troubles.append(f"{argument} holds no test")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.whole_files and not self.passed:
            self.troubles.append("no test passed")
        if self.troubles and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.troubles:
            terminalreporter.section("not as expected", red=True, bold=True)
            for trouble in self.troubles:
                terminalreporter.line(trouble, red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole-files", action="store_true", help="fail where a file given holds no test or none passes")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background deaf to an interrupt, and programs that tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tempfile.TemporaryDirectory(prefix="portrait-signing-")
    config.add_cleanup(folder.cleanup)
    os.environ["TALKING_PORTRAITS_SIGNING"] = (
        folder.name
    )  # frames are signed by a key of this run's own, not by the user's
    config.pluginmanager.register(Watch(config.getoption("--whole-files")), "watch")
