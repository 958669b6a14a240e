# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written whole: no link is followed, and what a killed writer leaves goes, never what is being written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from portrait_shared.errors import MESSAGE_CHARACTERS, ErrorCode, PortraitError, described, shortened
from portrait_shared.files.private_folders import PREFIX, PrivateFolder, sweep_folders
from portrait_shared.files.whole_files import parse_json, partial_file, read_bounded, sweep_partials, write_whole

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps links and pipes from most users")
NOBODY = 65534

WRITER = """
import sys
from pathlib import Path
from portrait_shared.files.whole_files import partial_file
with partial_file(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half of it")
    print(partial, flush=True)
    sys.stdin.read()
"""
OWNER = """
import sys
from pathlib import Path
from portrait_shared.files.private_folders import PrivateFolder
folder = PrivateFolder(Path(sys.argv[1]))
(folder.path / "frame").write_bytes(b"1")
print(folder.path, flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that has made a file or folder and waits; a context manager that kills it at the end."""

    def __init__(self, program: str, argument: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(argument)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.made = Path(self.process.stdout.readline().strip())
        assert self.made.exists()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def test_a_half_written_file_goes_when_its_writer_is_dead_and_not_before(tmp_path: Path) -> None:
    with Other(WRITER, tmp_path / "track.npz") as other:
        sweep_partials(tmp_path)
        assert other.made.read_bytes() == b"half of it"
        other.kill()
        if sys.platform == "win32":  # no lock tells there that the writer is dead: a day does
            os.utime(other.made, (1.7e9, 1.7e9))
        write_whole(tmp_path / "another.npz", b"whole")
        assert [path.name for path in tmp_path.iterdir()] == ["another.npz"]


def test_a_folder_goes_when_its_maker_is_dead_and_not_before(tmp_path: Path) -> None:
    with Other(OWNER, tmp_path) as other:
        PrivateFolder(tmp_path).remove()
        assert (other.made / "frame").exists()
        other.kill()
        with PrivateFolder(tmp_path) as mine:
            assert list(tmp_path.iterdir()) == [mine]
            assert mine.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.iterdir())


@needs_links
def test_what_is_somebody_elses_or_a_link_is_not_swept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "alive").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    (tmp_path / f".portrait-{1:016x}.partial").symlink_to(kept / "alive")
    sweep_folders(tmp_path)
    sweep_partials(tmp_path)
    assert (kept / "alive").exists() and len(list(tmp_path.iterdir())) == 3
    if os.geteuid() == 0:
        theirs = tmp_path / f".portrait-{2:016x}.partial"
        theirs.touch()
        os.chown(theirs, NOBODY, NOBODY)
        sweep_partials(tmp_path)
        assert theirs.exists()


@needs_links
def test_no_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that has the name which comes next."""
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"gold")
    names = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(names))
    (tmp_path / f".portrait-{'0' * 16}.partial").symlink_to(treasure)
    with partial_file(tmp_path / "new") as partial:
        assert partial.name == f".portrait-{'1' * 16}.partial"
        partial.write_bytes(b"new")
    assert treasure.read_bytes() == b"gold" and (tmp_path / "new").read_bytes() == b"new"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), partial_file(tmp_path / "a") as partial:
        partial.write_bytes(b"new")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@needs_links
def test_in_a_sticky_folder_what_is_another_users_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "track.npz"
    path.write_bytes(b"theirs")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + NOBODY)
    write_whole(path, b"shared by all who may write here")
    tmp_path.chmod(0o1777)
    with pytest.raises(PortraitError, match="another user's") as caught:
        write_whole(path, b"mine")
    assert (
        caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE and path.read_bytes() == b"shared by all who may write here"
    )
    write_whole(tmp_path / "new.npz", b"mine")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new.npz", "track.npz"]


@needs_links
def test_nothing_endless_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(bytes(11))
    for path, code in ((pipe, errno.EINVAL), (tmp_path, errno.EISDIR), (large, errno.EFBIG),
                       (Path("/dev/zero"), errno.EINVAL), (Path("a\0b"), errno.EINVAL), (Path("\ud800"), errno.EINVAL),
                       (tmp_path / "none", errno.ENOENT)):  # fmt: skip
        with pytest.raises(OSError) as caught:
            read_bounded(path, 10)
        assert caught.value.errno == code and caught.value.strerror
    assert read_bounded(large, 11) == bytes(11)


def test_deep_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="deep"):
        parse_json("[" * 200_000)


def test_messages_are_short_and_can_be_said() -> None:
    error = PortraitError(ErrorCode.BAD_TRACK, "a" * 10**6 + " ends so", "b\ud800" * 10**5)
    assert len(error.message) <= MESSAGE_CHARACTERS and error.message.endswith(" ends so")
    assert len(str(error).encode()) < 2000
    assert shortened("short", 10) == "short" and len(shortened("x" * 11, 10)) == 10
    assert len(described(["x"] * 10**6)) < 100 and len(described("x" * 10**6)) < 120
