# SPDX-License-Identifier: GPL-3.0-or-later
"""When a folder's frames.c2pa is written, put aside and kept; what is signed here is readable: its names and hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from portrait_shared.client.credentials import renew_credentials, renewed_credentials, set_aside, with_credentials
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import credentials_path, frame_path


def sign(hashes: Mapping[str, str], before: bytes | None, staying: Sequence[str]) -> bytes:
    held = {} if before is None else json.loads(before)
    return json.dumps({name: held[name] for name in staying if name in held} | hashes, sort_keys=True).encode()


def refuse(hashes: Mapping[str, str], before: bytes | None, staying: Sequence[str]) -> bytes:
    raise PortraitError(ErrorCode.SIGNING_FAILED, "There is no key.", "Make one.")


def rendered(folder: Path, prefix: str, numbers: Sequence[int], content: str) -> Iterator[StoredFrame]:
    for number in numbers:
        path = frame_path(folder, number, prefix)
        path.write_text(content)
        yield StoredFrame(number, path, True, content)


def told(folder: Path, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = json.loads(credentials_path(folder, prefix).read_bytes())
    return found


def raising(error: PortraitError) -> None:
    raise error


@pytest.mark.parametrize("prefix", ["", "anna."])
def test_a_part_that_is_rendered_again_leaves_the_rest_signed(tmp_path: Path, prefix: str) -> None:
    list(with_credentials(rendered(tmp_path, prefix, range(1, 5), "one"), tmp_path, prefix, sign, raising))
    frame_path(tmp_path, 4, prefix).unlink()
    frame_path(tmp_path, 9, "bea.").touch()
    list(with_credentials(rendered(tmp_path, prefix, [2], "two"), tmp_path, prefix, sign, raising))
    assert told(tmp_path, prefix) == {f"{prefix}000{n}.png": "two" if n == 2 else "one" for n in (1, 2, 3)}


def test_while_frames_are_written_nothing_speaks_of_those_before(tmp_path: Path) -> None:
    list(with_credentials(rendered(tmp_path, "", [1, 2], "one"), tmp_path, "", sign, raising))
    frames = with_credentials(rendered(tmp_path, "", [2, 1], "two"), tmp_path, "", sign, raising)
    next(frames)
    assert not credentials_path(tmp_path).exists()
    frames.close()  # as an interrupt does
    assert told(tmp_path) == {"0001.png": "one", "0002.png": "two"}


def test_what_a_killed_render_had_put_aside_is_taken_up_by_the_next(tmp_path: Path) -> None:
    list(with_credentials(rendered(tmp_path, "", [1, 2, 3], "one"), tmp_path, "", sign, raising))
    set_aside(tmp_path)
    next(rendered(tmp_path, "", [2], "lost"))
    list(with_credentials(rendered(tmp_path, "", [2], "two"), tmp_path, "", sign, raising))
    assert told(tmp_path) == {"0001.png": "one", "0002.png": "two", "0003.png": "one"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.png", "0002.png", "0003.png", "frames.c2pa"]


def test_a_render_that_changes_nothing_leaves_the_very_file(tmp_path: Path) -> None:
    list(with_credentials(rendered(tmp_path, "", [1, 2], "one"), tmp_path, "", sign, raising))
    node = credentials_path(tmp_path).stat().st_ino
    list(with_credentials(rendered(tmp_path, "", [1, 2], "one"), tmp_path, "", sign, raising))
    with pytest.raises(KeyError), renewed_credentials(tmp_path, "", sign, raising):
        raise KeyError  # before the first frame
    assert credentials_path(tmp_path).stat().st_ino == node and len(list(tmp_path.iterdir())) == 3


def test_another_render_of_the_same_folder_is_not_forgotten(tmp_path: Path) -> None:
    first = with_credentials(rendered(tmp_path, "", [1], "one"), tmp_path, "", sign, raising)
    next(first)
    list(with_credentials(rendered(tmp_path, "", [2], "two"), tmp_path, "", sign, raising))
    assert next(first, None) is None
    assert told(tmp_path) == {"0001.png": "one", "0002.png": "two"}


def test_frames_that_cannot_be_signed_are_there_all_the_same_and_signed_later(tmp_path: Path) -> None:
    list(with_credentials(rendered(tmp_path, "", [1, 2], "one"), tmp_path, "", sign, raising))
    failures: list[PortraitError] = []
    stored = list(with_credentials(rendered(tmp_path, "", [2], "two"), tmp_path, "", refuse, failures.append))
    assert len(stored) == 1 and [error.code for error in failures] == [ErrorCode.SIGNING_FAILED]
    assert not credentials_path(tmp_path).exists()
    list(with_credentials(rendered(tmp_path, "", [2], "two"), tmp_path, "", sign, raising))
    assert told(tmp_path) == {"0001.png": "one", "0002.png": "two"}
    credentials_path(tmp_path).unlink()
    credentials_path(tmp_path).mkdir()  # even root cannot put a file there
    list(with_credentials(rendered(tmp_path, "", [2], "two"), tmp_path, "", sign, failures.append))
    assert failures[-1].code is ErrorCode.OUTPUT_NOT_WRITABLE


def test_without_credentials_none_are_left(tmp_path: Path) -> None:
    list(with_credentials(rendered(tmp_path, "", [1], "one"), tmp_path, "", sign, raising))
    list(with_credentials(rendered(tmp_path, "", [1], "two"), tmp_path, "", None, raising))
    assert [path.name for path in tmp_path.iterdir()] == ["0001.png"]
    renew_credentials(tmp_path, "", {}, sign)
    assert [path.name for path in tmp_path.iterdir()] == ["0001.png"]
