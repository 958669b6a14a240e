# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps for whoever comes new name files, functions and rooms that are there: they cannot rot.

In a map, a file or folder is its whole path in backticks; names that follow behind a colon are defined in that file
(`path/file.py`: `function`, `Class.method`); any other name in backticks is one that the code knows. Python that is
quoted stands in the file that the quotation's first line names. Of the other pages, which also name what lies on a
user's disk or in other programs, files of the code are held to the same.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.names import ROOT, defined, files, folders, known, python_files, tree

MAPS = (
    "MAP.md",
    "README.md",
    "docs/architecture.md",
    "docs/contributing.md",
    "docs/library.md",
    "docs/performance.md",
    "docs/protocol.md",
    "docs/settings.md",
)
PACKAGES = ("blender_addon", "portrait_server", "portrait_shared")
_OF_THE_CODE = re.compile(r"(?<![\w/.])(?:blender_addon|docs|server|shared|tests)/|\.py$")
"""In what `problems` says: that a file of the code is meant."""
PLACEHOLDER = "NAME"
"""Stands for what a reader is to choose: such a path needs no more than its folder."""
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_QUOTE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_NAMES_OF_FILE = re.compile(r"`([\w./-]+\.py)`:\s+(`[\w.]+`(?:(?:,| and|, and)\s+`[\w.]+`)*)")
_TEST = re.compile(r"(?<![\w/.])(?:tests|server|shared|blender_addon|docs)/[\w./-]+(?:::\w+)*")
_ROOM_OF_A_PACKAGE = re.compile(r"\| `(?:blender_addon|server/portrait_server|shared/portrait_shared)/\w+/` \|")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def problems(text: str) -> list[str]:
    """What a map's text says of the code that is not so."""
    found = [f"no command's file {path}" for path in _commands_files(text) if not _is_there(path)]
    for path, quotation in _QUOTE.findall(text):
        there = (ROOT / path).read_text(encoding="utf-8") if path in files() else ""
        found += [f"no such lines in {path}" for part in quotation.split("…\n") if part.strip() and part not in there]
    text = _FENCE.sub("", text)
    told = set()
    for match in _NAMES_OF_FILE.finditer(text):
        path, names = match[1], _SPAN.findall(match[2])
        told |= set(names)
        if path in files():
            found += [f"no {name} in {path}" for name in names if name not in defined(path)]
    for span in _SPAN.findall(text):
        if span in told:
            continue
        if _looks_like_a_path(span):
            if not _is_there(span):
                found.append(f"no file or folder {span}")
        elif _NAME.fullmatch(span) and not set(span.split(".")) <= known():
            found.append(f"no {span} in the code")
    return found


def _looks_like_a_path(span: str) -> bool:
    if not _PATH.fullmatch(span) or span.startswith("."):  # as `.venv/`, which git leaves alone
        return False
    return "/" in span or span.rpartition(".")[2] in ("py", "md", "toml", "txt") or span in files()


def _is_there(path: str) -> bool:
    path, *test = path.rstrip("/").split("::")
    if PLACEHOLDER in path:
        return path.rpartition("/")[0] in folders()
    if test:
        return path in files() and ".".join(test) in defined(path)
    return path in files() or path in folders()


def _commands_files(text: str) -> Iterator[str]:
    for fence in _FENCE.findall(text):
        for path in _TEST.findall(fence):
            yield path.rstrip("./")


@pytest.mark.parametrize("name", MAPS)
def test_a_map_names_what_is_there(name: str) -> None:
    assert problems((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`server/portrait_server/no_such_file.py`", "no file or folder server/portrait_server/no_such_file.py"),
        ("`cli.py`", "no file or folder cli.py"),
        ("`server/portrait_server/cli.py`: `man`", "no man in server/portrait_server/cli.py"),
        ("`server/portrait_server/cli.py`: `main` and `man`", "no man in server/portrait_server/cli.py"),
        ("`tests/house/no_such_room/`", "no file or folder tests/house/no_such_room/"),
        (
            "```python\n# server/portrait_server/cli.py\nimport no_such\n```",
            "no such lines in server/portrait_server/cli.py",
        ),
        ("Call `no_such_function_anywhere`.", "no no_such_function_anywhere in the code"),
        ("A `Client.no_such_method`.", "no Client.no_such_method in the code"),
        ("```\npytest tests/house/no_such_test.py -q\n```", "no command's file tests/house/no_such_test.py"),
        (
            "```\npytest tests/house/test_maps.py::test_no_such\n```",
            "no command's file tests/house/test_maps.py::test_no_such",
        ),
    ],
)
def test_what_is_not_there_is_told(text: str, said: str) -> None:
    assert problems(text) == [said]


def test_what_is_there_is_not_complained_about() -> None:
    text = (
        "`server/portrait_server/cli.py`: `main`, `_run` and `_COMMANDS`; `tests/house/`, `README.md`, `portrait serve`, "
        "`--depth 16`, `find_files`... `server/portrait_server/commands/NAME.py`"
    ).replace("`find_files`... ", "")
    assert problems(text) == []


def test_the_order_of_rooms_is_that_of_the_contracts() -> None:
    text = " ".join((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split())
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [each["layers"] for each in contracts if each.get("containers", [""])[0] in PACKAGES]
    orders = [" → ".join(line.replace(" | ", ", ") for line in lines) for lines in layers]
    assert len(orders) == len(PACKAGES) and [order for order in orders if f": {order}." not in text] == []


def pages() -> list[str]:
    return sorted(name for name in files() if name.endswith(".md"))


@pytest.mark.parametrize("name", [name for name in pages() if name not in MAPS])
def test_another_page_names_files_of_the_code_that_are_there(name: str) -> None:
    found = problems((ROOT / name).read_text(encoding="utf-8"))
    assert [problem for problem in found if _OF_THE_CODE.search(problem)] == []


@pytest.mark.parametrize("page", ["MAP.md", "docs/architecture.md"])
def test_every_room_is_on_the_maps_in_its_own_words_and_no_other(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    wanted = room_rows()
    if page == "MAP.md":  # which has packages in words of its own, and no rooms within rooms
        wanted = [row for row in wanted if _ROOM_OF_A_PACKAGE.match(row)]
    assert wanted and [line for line in lines if _ROOM_OF_A_PACKAGE.match(line) or line in wanted] == wanted


@pytest.mark.parametrize("name", pages())
def test_rows_of_tables_stand_under_a_head(name: str) -> None:
    assert rows_without_a_head((ROOT / name).read_text(encoding="utf-8")) == []


def test_rows_that_an_empty_line_cuts_off_are_told() -> None:
    assert rows_without_a_head("| a |\n|---|\n| b |\n\n| c |\n| d |\n") == ["| c |"]


def rows_without_a_head(text: str) -> list[str]:
    """First lines of tables that no line of dashes follows: they would show as they are."""
    lines = [*_FENCE.sub("", text).splitlines(), ""]
    above = ["", *lines]
    return [
        line
        for before, line, after in zip(above, lines, lines[1:], strict=False)
        if line.startswith("|") and not before.startswith("|") and not re.fullmatch(r"\|[-:| ]+\|", after)
    ]


def room_rows() -> list[str]:
    """The rows of the table of rooms: each package's folder, and what its docstring says first."""
    rows = []
    for file in python_files("blender_addon/", "server/portrait_server/", "shared/portrait_shared/"):
        folder, _, name = file.rpartition("/")
        if name == "__init__.py":
            words = ast.get_docstring(tree(file)) or "no docstring says"
            rows.append(f"| `{folder}/` | {words.splitlines()[0]} |")
    return rows


def test_links_of_the_pages_lead_somewhere() -> None:
    broken = []
    for name in pages():
        for target in _LINK.findall(_FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            page = (ROOT / name).parent / path if path else ROOT / name
            if not page.exists() or (anchor and anchor not in _headings(page)):
                broken.append(f"{name}: {target}")
    assert broken == []


def _headings(page: Path) -> set[str]:
    """As the web pages that show them name them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}
