# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminals and pipes that cannot spell a path, or that nobody reads: the work is done all the same."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.service.sockets.endpoints import choose_endpoint
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.framing import pack, unpack
from portrait_shared.terminal import Lenient, forgiving_output
from portrait_shared.track import LandmarkTrack

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = [sys.executable, "-m", "portrait_server"]
NOT_TEXT = os.fsdecode(b"caf\xe9")
ENVIRONMENTS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "cp437": {"PYTHONIOENCODING": "cp437:strict"},
    "utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module", autouse=True)
def without_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: servers start without the networks, whose loading is most of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))
        yield


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
    return {**kept, **more}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photo and a track of frames -1 to 1, in a folder whose name is no text."""
    folder = tmp_path_factory.mktemp("material") / "肖像 😀"
    folder.mkdir()
    Image.fromarray(skimage.data.astronaut()[:256, 96:352]).resize((160, 160)).save(folder / "photo.png")
    arguments = ["landmarks", str(folder / "photo.png"), "--output", str(folder / "p.npz"), "--detector", "mediapipe"]
    assert main(arguments) == 0
    rest = LandmarkTrack.load(folder / "p.npz")
    LandmarkTrack(np.repeat(rest.points, 3, axis=0), rest.size, 24, start=-1).save(folder / "track.npz")
    return folder / "photo.png", folder / "track.npz"


@pytest.fixture(scope="module")
def server(without_weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The connection file, in a folder whose name is no text, of one server for all tests."""
    folder = tmp_path_factory.mktemp("server") / NOT_TEXT
    folder.mkdir(mode=0o700)
    process = ServerProcess(PORTRAIT, connection_file=folder / "connection.json", device="cpu")
    process.start()
    yield folder / "connection.json"
    process.stop(10)


@pytest.fixture
def render(material: tuple[Path, Path], server: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Arguments of `portrait` that render into a folder of `tmp_path`."""

    def words(name: str, *more: str) -> list[str]:
        photo, track = map(str, material)
        return ["render", "--reference", photo, "--track", track, "--output", str(tmp_path / name),
                "--connect", str(server), *more]  # fmt: skip

    return words


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_a_render_into_a_folder_that_cannot_be_spelled(
    render: Callable[..., list[str]], tmp_path: Path, kind: str
) -> None:
    name = f"出力/{NOT_TEXT}"
    done = subprocess.run([*PORTRAIT, *render(name)], env=environment(**ENVIRONMENTS[kind]), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"Saved: ") == 3
    assert sorted(path.name for path in (tmp_path / name).glob("*.png")) == ["-0001.png", "0000.png", "0001.png"]


def test_a_server_of_its_own_in_such_a_terminal(material: tuple[Path, Path], tmp_path: Path) -> None:
    photo, track = map(str, material)
    command = [*PORTRAIT, "render", "--reference", photo, "--track", track, "--output", str(tmp_path / "出力")]
    done = subprocess.run(command, env=environment(**ENVIRONMENTS["C locale"]), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "出力").glob("*.png"))) == 3


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_stops_no_render(render: Callable[..., list[str]], tmp_path: Path, stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: write}
        done = subprocess.run([*PORTRAIT, *render("out")], env=environment(), **streams)
    finally:
        os.close(write)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert b"BrokenPipe" not in (done.stderr or b"")


def test_without_any_streams(render: Callable[..., list[str]], tmp_path: Path) -> None:
    """As under Windows' pythonw, and where a service closes them."""
    script = (
        "import sys; sys.stdout = sys.stderr = None\nfrom portrait_server.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *render("out")]
    assert subprocess.run(command, env=environment()).returncode == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_errors_are_told_whatever_they_name(tmp_path: Path) -> None:
    command = [*PORTRAIT, "landmarks", str(tmp_path / f"肖像{NOT_TEXT}.png"), "--output", str(tmp_path / "p.npz")]
    for kind, more in ENVIRONMENTS.items():
        done = subprocess.run(command, env=environment(**more), capture_output=True)
        assert done.returncode == 1 and b"Traceback" not in done.stderr and b"portrait landmarks: " in done.stderr, kind


@pytest.mark.parametrize("command", [["server/set_up.py", "--help"], ["build_addon.py", "--help"]])
def test_scripts_before_the_installation_speak_any_encoding(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment(PYTHONIOENCODING="ascii:strict"), capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_children_speak_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    with forgiving_output():
        done = subprocess.run([sys.executable, "-c", "print('出力')"], capture_output=True)
    assert (done.returncode, done.stdout.strip()) == (0, rb"\u51fa\u529b")
    assert os.environ["PYTHONIOENCODING"] == "ascii:strict", "as it was"


def test_names_that_are_no_text_keep_their_bytes_where_they_did() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="surrogateescape", write_through=True)
    before, sys.stdout = sys.stdout, stream
    try:
        with forgiving_output():
            print(f"{NOT_TEXT} 出", end="")
    finally:
        sys.stdout = before
    assert raw.getvalue() == b"caf\xe9 \\u51fa"


def test_a_full_disk_under_a_log_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    stream = Lenient(Full())
    print("words", file=stream, flush=True)
    assert stream.lost


def test_messages_carry_names_that_are_no_text() -> None:
    header = pack("error", 1, {"message": f"There is no {NOT_TEXT}."})
    assert unpack([header]).fields["message"] == "There is no caf\\udce9."


def test_a_socket_is_never_put_where_its_path_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / NOT_TEXT
    folder.mkdir(mode=0o700)
    endpoint = choose_endpoint(None, folder / "connection.json")
    endpoint.address.encode()
    if endpoint.folder is not None:
        endpoint.folder.remove()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--frames", "-1-0"], ["-0001.png", "0000.png"]),
        (["--frames=-1--1"], ["-0001.png"]),
        (["--frames", "-1"], ["-0001.png"]),
        (["--frames", "-1,1"], ["-0001.png", "0001.png"]),
    ],
)
def test_frames_below_zero(
    render: Callable[..., list[str]], tmp_path: Path, words: list[str], names: list[str]
) -> None:
    assert main(render("out", *words)) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == names


@pytest.mark.parametrize("words", ["--frames=1--1", "--frames=-1..1", "--frames=--1", "--frames=1-", "--frames="])
def test_frames_that_are_none_are_refused(
    render: Callable[..., list[str]], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(render("out", words))
    assert ended.value.code == 2 and "range" in capsys.readouterr().err
