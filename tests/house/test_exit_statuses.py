# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/farm.md lists every exit status that a `portrait` command has, as the code has it, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from portrait_server.cli import main

from tests.house.names import ROOT, python_files, tree

PAGE = ROOT / "docs" / "farm.md"
COMMANDS = ("server/portrait_server/cli.py", "server/portrait_server/commands/", "server/portrait_server/farm/")
PLAIN = (0, 1)
"""Written as numbers: all is there, or something is not. Any other status has a name."""
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| [^|]+ \|(?: `([^`]+)`: `([^`]+)`)? \|$", re.MULTILINE)


def rows() -> list[tuple[int, str, str, str]]:
    """(status, commands, file, constant) of each row of the page's table."""
    text = PAGE.read_text(encoding="utf-8").split("### Exit statuses\n")[1].split("\n### ")[0]
    found = [(int(status), commands, file, name) for status, commands, file, name in _ROW.findall(text)]
    assert len(found) == len([line for line in text.splitlines() if line.startswith("|")]) - 2, "a row of another form"
    return found


def test_every_status_that_has_a_name_is_listed() -> None:
    named = {
        (value, file, name)
        for file in python_files("server/portrait_server/", "shared/portrait_shared/")
        for name, value in statuses(tree(file))
    }
    assert {(status, file, name) for status, _, file, name in rows() if name} == named
    each = [(status, command) for status, commands, *_ in rows() for command in commands.split(",")]
    assert len(set(each)) == len(each), "each status of a command once"


def test_no_command_ends_with_a_status_that_has_no_name() -> None:
    unnamed = [(file, line) for file in python_files(*COMMANDS) for line in unnamed_statuses(tree(file))]
    assert unnamed == []


def test_what_ends_with_a_number_is_seen() -> None:
    code = """
import sys
STATUS_ODD: Final = 7
def run(asked) -> int:
    if asked: return 5
    if not asked: sys.exit(6)
    return 0 if asked else 9
def other(asked) -> int | None: return 8
def size(asked) -> float: return 2.5
"""
    assert list(statuses(ast.parse(code))) == [("STATUS_ODD", 7)]
    assert sorted(unnamed_statuses(ast.parse(code))) == [5, 6, 7]


def test_a_wrong_command_line_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["no-such-command"])
    assert ended.value.code == 2 and "usage: portrait" in capsys.readouterr().err
    assert [row[0] for row in rows() if row[0] == 2] == [2]


def statuses(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Constants that name an exit status, with their values."""
    for node in module.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id.startswith("STATUS_")
        ):
            assert isinstance(node.value, ast.Constant)
            yield node.target.id, node.value.value


def unnamed_statuses(module: ast.Module) -> Iterator[int]:
    """Lines where a command's function returns, or a process is ended with, a number that is none of `PLAIN`."""
    for node in ast.walk(module):
        given: list[ast.expr | None] = []
        if isinstance(node, ast.FunctionDef) and node.name == "run" and ast.unparse(node.returns or node) == "int":
            given = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit", "SystemExit"):
            given = list(node.args[:1])
        for value in given:
            for inner in (
                [] if value is None else [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            ):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, int) and inner.value not in PLAIN:
                    yield inner.lineno
