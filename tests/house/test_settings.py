# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/settings.md holds every variable, preference and option of `portrait serve` that there is, and no other."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache

from portrait_server.commands import serve as serve_command

from tests.house.names import ROOT, files, python_files, tree

PAGE = ROOT / "docs" / "settings.md"
PRODUCT = ("blender_addon/", "server/", "shared/", "build_addon.py", "release/")
_ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_ENVIRONMENTS = ("environ", "environment")
"""What the process's variables, or a copy of them for a child, are called."""


def test_variables_that_the_program_reads() -> None:
    assert rows("Variables that are read") == read(*PRODUCT)


def test_variables_that_the_program_sets_for_its_children() -> None:
    assert rows("Variables that are set") == written(*PRODUCT)


def test_variables_that_the_tests_read() -> None:
    assert rows("Variables of the tests") == read("tests/") - read(*PRODUCT)


def test_preferences() -> None:
    (file,) = (f for f in files() if f.startswith("blender_addon/") and f.endswith("/preferences.py"))
    (holder,) = (node for node in tree(file).body if isinstance(node, ast.ClassDef))
    fields = {node.target.id for node in holder.body if isinstance(node, ast.AnnAssign)}
    assert rows("Preferences") == fields


def test_options_of_the_server() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    serve_command.add_arguments(parser)
    assert rows("Options of `portrait serve`") == {action.option_strings[-1] for action in parser._actions}


def test_what_reads_and_sets_variables_is_seen() -> None:
    code = """
import os
from elsewhere import THEIRS
NAMED = "A_NAMED_ONE"
os.environ.get("A_GOT_ONE"); os.getenv("A_GETENV_ONE"); os.environ["AN_INDEXED_ONE"]; os.environ.get(NAMED, "x")
"A_TESTED_ONE" in os.environ
os.environ["A_SET_ONE"] = "1"; os.environ.setdefault("A_DEFAULT", "1")
child = {**os.environ, "A_CHILDS_ONE": "1"}; other = os.environ | {"AN_ADDED_ONE": "1"}
environment["A_COPYS_ONE"] = "1"
"""
    module = ast.parse(code)
    assert set(_read_in(module)) == {
        "A_GOT_ONE", "A_GETENV_ONE", "AN_INDEXED_ONE", "A_NAMED_ONE", "A_TESTED_ONE",
    }  # fmt: skip
    assert set(_written_in(module)) == {"A_SET_ONE", "A_DEFAULT", "A_CHILDS_ONE", "AN_ADDED_ONE", "A_COPYS_ONE"}


def rows(heading: str) -> set[str]:
    """The first column of the table under a heading of the page."""
    text = PAGE.read_text(encoding="utf-8")
    assert f"## {heading}\n" in text
    names = _ROW.findall(text.split(f"## {heading}\n")[1].split("\n## ")[0])
    assert len(names) == len(set(names))
    return set(names)


def read(*folders: str) -> set[str]:
    return {name for file in python_files(*folders) for name in _read_in(tree(file))}


def written(*folders: str) -> set[str]:
    return {name for file in python_files(*folders) for name in _written_in(tree(file))}


def _read_in(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            of_environment = _is_environment(node.func.value) and node.func.attr == "get"
            if of_environment or node.func.attr == "getenv":
                yield from _key(module, node.args[0])
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environment(node.value):
            yield from _key(module, node.slice)
        elif (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], (ast.In, ast.NotIn))
            and _is_environment(node.comparators[0])
        ):
            yield from _key(module, node.left)


def _written_in(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_environment(node.value):
            yield from _key(module, node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_environment(node.func.value):
            if node.func.attr in ("setdefault", "update"):
                yield from _key(module, node.args[0])
        elif isinstance(node, ast.Dict) and any(
            key is None and _is_environment(value) for key, value in zip(node.keys, node.values, strict=True)
        ):
            for key in node.keys:
                if key is not None:
                    yield from _key(module, key)
        elif isinstance(node, ast.BinOp) and _is_environment(node.left) and isinstance(node.right, ast.Dict):
            for key in node.right.keys:
                if key is not None:
                    yield from _key(module, key)


def _is_environment(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in _ENVIRONMENTS


def _key(module: ast.Module, node: ast.expr) -> set[str]:
    """The variables that an expression may stand for: itself, a constant of this or another module, or, where that is
    found out only as it runs, all that is written in capitals in this module."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.Name) and (value := _constants(module).get(node.id) or _constants_anywhere().get(node.id)):
        return {value}
    words = {inner.value for inner in ast.walk(module) if isinstance(inner, ast.Constant)}
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", word)}


def _constants(module: ast.Module) -> dict[str, str]:
    found = {}
    for node in module.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Constant):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    found[target.id] = node.value.value
    return found


@cache
def _constants_anywhere() -> dict[str, str]:
    return {
        name: value
        for file in python_files()
        for name, value in _constants(tree(file)).items()
        if name.endswith("_VARIABLE")
    }
