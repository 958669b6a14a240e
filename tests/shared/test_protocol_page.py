# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/protocol.md and the code say the same: every message, field, bound, default, limit and error code, and no other.

A field's bounds stand in the page in the words with which the code refuses another value, so they are compared as they
are. Thousands may be set apart by commas.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from portrait_server.engines.base import Engine
from portrait_server.service import budgets, open_render, portraits, requests, sessions, tunings
from portrait_server.service.sockets import door, incoming_message
from portrait_shared import bounds, errors, personal, track
from portrait_shared.client import channel, link
from portrait_shared.errors import ErrorCode
from portrait_shared.protocol import client_messages, references, server_messages
from portrait_shared.protocol import framing as protocol
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.fields import Array, Blob, Check
from portrait_shared.protocol.message import TYPES, Message, decode

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
LIMITS = (
    bounds, channel, client_messages, errors, link, personal, protocol, references, track,
    door, incoming_message, open_render, portraits, requests, sessions, tunings,
)  # fmt: skip
"""Modules whose public numbers are all promised to whoever speaks the protocol."""

Rows = list[list[str]]


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next of its rank or a higher one."""
    level = heading.split(" ")[0]
    start = page.index(f"\n{heading}\n") + len(heading) + 2
    following = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(page, start)
    return page[start : following.start() if following else len(page)]


def rows(text: str) -> Rows:
    """The cells of a text's tables, without the tables' heads."""
    bodies = re.sub(r"^\|.*\n\|[-| ]+\|$", "", text, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in bodies.splitlines() if line.startswith("|")]


def as_code(cell: str) -> str:
    assert re.fullmatch("`[^`]+`", cell), f"{cell!r} is no name in backquotes"
    return cell.strip("`")


def refusal(check: Check, value: Any) -> str:
    with pytest.raises(ValueError) as caught:
        check(value)
    return str(caught.value).removeprefix("must be ")


def accepts(check: Check, value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True


def in_words(check: Check) -> str:
    """What a field may hold."""
    if accepts(check, None):
        return "nothing, or " + in_words(lambda value: check(object() if value is None else value))
    if accepts(check, True) and accepts(check, 1.5):
        return f"a number, true or false, or {refusal(check, object())}"
    words = refusal(check, object())
    if words.startswith("a list of "):
        return f"{words}, each {in_words(lambda value: check([value] * max(1, int(words.split()[3]))))}"
    if words.startswith("a map of "):
        key = in_words(lambda value: check({value: 0}))
        return f"{words}, from {key} to {in_words(lambda value: check({'a': value}))}"
    return words


def of_buffer(check: Array | Blob) -> str:
    """What a field may hold that travels as a raw buffer."""
    if isinstance(check, Blob):
        words = f"bytes, at most {check.limit}"
    else:
        sides = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in check.shape)
        words = f"an array of {' or '.join(each.name for each in check.types)} ({sides})"
    return f"nothing, or {words}" if check.nullable else words


def default(item: dataclasses.Field[Any]) -> str:
    if item.default is dataclasses.MISSING:
        return "required"
    named = {None: "nothing", (): "an empty list", "": "an empty text"}
    word = named.get(item.default, str(item.default).lower())
    return f"{word}, and then it is not sent" if item.metadata["added"] else word


def fields_of(kind: type[Message]) -> Rows:
    """As the page has them: name, what it may hold, default."""
    found = []
    for item in dataclasses.fields(kind)[1:]:
        check = item.metadata["check"]
        words = of_buffer(check) if isinstance(check, (Array, Blob)) else in_words(check)
        found.append([item.name, words, default(item)])
    return found


def brief(words: str, page: str) -> str:
    """With the words that the page explains instead of what they stand for."""
    for word, meaning in rows(section(page, "## Words in the tables")):
        words = words.replace(meaning, word)
    return words.replace("one of " + ", ".join(ErrorCode), "one of the codes below")


def without_commas(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def public_numbers() -> dict[str, float]:
    """Names and values of what the modules of `LIMITS` define, of a server's budgets, and of an engine."""
    found: dict[str, float] = {}
    for module in LIMITS:
        for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [target.id for target in targets if isinstance(target, ast.Name) and target.id[0].isupper()]
            found |= {name: value for name in names if type(value := getattr(module, name, None)) in (int, float)}
    found |= {f"Budgets.{name}": value for name, value in dataclasses.asdict(budgets.Budgets()).items()}
    found["Engine.batch_pixels"] = Engine.batch_pixels
    return {name: value for name, value in found.items() if name != "PROTOCOL_VERSION"}


NUMBERS = public_numbers()
"""As they are before any test: while those run, clients are given more patience."""


def differences(page: str) -> list[str]:
    """What is in the page alone, in the code alone, or different."""
    page = without_commas(page)
    found: list[str] = []

    def compare(what: str, in_page: Rows, in_code: Rows) -> None:
        found.extend(f"{what}: only the page has {row}" for row in in_page if row not in in_code)
        found.extend(f"{what}: only the code has {row}" for row in in_code if row not in in_page)
        if not found and in_page != in_code:
            found.append(f"{what}: another order")

    for heading, module in (("## What clients send", client_messages), ("## What servers send", server_messages)):
        text = section(page, heading)
        kinds = {kind: message for kind, message in TYPES.items() if message.__module__ == module.__name__}
        named = re.findall(r"^### `(\w+)`$", text, re.MULTILINE)
        compare(heading, [[kind] for kind in named], [[kind] for kind in kinds])
        for kind in named:
            if kind not in kinds:
                continue
            part = section(page, f"### `{kind}`")
            wanted = [
                [name, without_commas(brief(words, page)), default] for name, words, default in fields_of(kinds[kind])
            ]
            compare(kind, [[as_code(row[0]), *row[1:3]] for row in rows(part)], wanted)
            if ("**Together:**" in part) != ("__post_init__" in vars(kinds[kind])):
                found.append(f"{kind}: rules for fields together are in the page or in the code alone")
    compare(
        "error codes",
        [[as_code(code)] for code, _ in rows(section(page, "## Error codes"))],
        [[code] for code in ErrorCode],
    )
    limits = [[as_code(name), float(value)] for name, value, _ in rows(section(page, "## Limits"))]
    compare("limits", sorted(limits), sorted([name, float(value)] for name, value in NUMBERS.items()))
    connection = [[item.name] for item in dataclasses.fields(Connection) if item.name != "file"]
    compare(
        "connection file", [[as_code(row[0])] for row in rows(section(page, "### The connection file"))], connection
    )
    header = msgpack.unpackb(protocol.pack("echo", 1, {}))
    compare("header", [[as_code(row[0])] for row in rows(section(page, "## Framing"))], [[key] for key in header])
    if f"version is **{protocol.PROTOCOL_VERSION}**" not in page:
        found.append(f"the version is {protocol.PROTOCOL_VERSION}")
    return found


def test_the_page_and_the_code_say_the_same() -> None:
    assert differences(PAGE.read_text(encoding="utf-8")) == []


def test_the_headers_in_the_page_are_read() -> None:
    text = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
    headers = [json.loads(header) for header in re.split(r"\n(?=\{)", text)]
    assert [header["t"] for header in headers] == ["hello", "render", "progress"]
    for header in headers:
        checks = [(item.name, item.metadata["check"]) for item in dataclasses.fields(TYPES[header["t"]])[1:]]
        sent = [(name, check) for name, check in checks if isinstance(check, Array) and name in header]
        arrays = [np.zeros(header[name], check.dtype) for name, check in sent]
        assert decode([msgpack.packb(header), *(array.tobytes() for array in arrays)]).type == header["t"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version is **3**", "version is **4**"),
        ("### `detect`\n", "### `find`\n"),
        ("| `depth` | 8 or 16 | 8, and then it is not sent |", "| `depth` | 8 or 16 | 8 |"),
        ("| `window` | a whole number from 1 to 256 |", "| `window` | a whole number from 1 to 255 |"),
        ("| `points` | an array of float32 (1 to 32, 70, 3) |", "| `points` | an array of float32 (1 to 32, 70, 2) |"),
        ("| `content` | bytes, at most 64,000,000 |", "| `content` | bytes, at most 64,000,001 |"),
        ("| `face` | nothing, or a whole number", "| `face` | a whole number"),
        ("| `through_engine` | true or false | false |", "| `through_engine` | true or false | true |"),
        ("| `encoding` | one of png, raw, exr |", "| `encoding` | one of png, jpeg, raw |"),
        ("| `disk_full` | here: the disk is full |\n", ""),
        ("| `scene` |", "| `scenes` |"),
        ("| `MAX_PENDING` | 64 |", "| `MAX_PENDING` | 65 |"),
        ("| `STABLE_SECONDS` | 10 |", "| `STABLE_MINUTES` | 10 |"),
        ("| `Budgets.total` | 4,294,967,296 |", "| `Budgets.total` | 4,294,967,295 |"),
        ("**Together:** exactly one", "Exactly one"),
        ("| `log` | text | path of the server's log |\n", ""),
        ("| `v` | whole number |", "| `version` | whole number |"),
    ],
)
def test_a_page_that_says_otherwise_is_found_out(old: str, new: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(old) == 1, "the page no longer says this once"
    assert differences(page.replace(old, new))
