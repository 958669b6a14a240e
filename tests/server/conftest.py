# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers in processes of their own, and what tests send them; faces and heads to draw."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.renderer import Renderer
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_server.geometry.alignment import aligned_transform, transform_points
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.errors import PortraitError
from portrait_shared.landmarks import MESH_VERTICES
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

from tests import waiting
from tests.paths import head_model
from tests.server.corpora.made_up import egg_head

COMMAND = [sys.executable, str(Path(__file__).with_name("serve_with_test_engines.py"))]
patient_client = pytest.fixture(scope="session", autouse=True)(waiting.patient_client)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ServerProcess]:
    """A server that all tests share which do not harm it."""
    server = ServerProcess(COMMAND, device="cpu")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server of the test's own, to be stopped and killed; not yet started."""
    server = ServerProcess(COMMAND, device="cpu")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def astronaut() -> Reference:
    image = skimage.data.astronaut()
    return Reference(image, create_detector("mediapipe").detect(image)[0].points.astype(np.float32))


@pytest.fixture(scope="module")
def engine() -> WarpEngine:
    return WarpEngine()


@pytest.fixture(scope="module")
def portrait(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> WarpPortrait:
    """Of the module's own `photo`, whose landmarks are `points`."""
    return engine.prepare([Reference(photo, points)])


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    """A mean face's points (70, 3) in an aligned frame of 256 pixels."""
    points = neutral_mesh()[list(MESH_VERTICES)] * 400 + 500
    return transform_points(aligned_transform(points, 256), points)


@pytest.fixture
def test_engines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that start in the test have no engine but those that tests choose the failures of: they start fast."""
    monkeypatch.setenv("TALKING_PORTRAITS_TEST_ENGINES_ALONE", "1")


@pytest.fixture
def client(shared_server: ServerProcess) -> Iterator[Client]:
    with Client(shared_server.connection, name="test") as client:
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs `portrait serve` with arguments; ends what is still running."""
    started = []

    def start(*arguments: object, wait_for: Path | None = None) -> subprocess.Popen[bytes]:
        log = ["--log-file", str(tmp_path / f"{len(started)}.log")]
        process = subprocess.Popen(
            [*COMMAND, "serve", "--device", "cpu", *log, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        if wait_for is not None:
            waiting.wait_until(lambda: wait_for.exists() or process.poll() is not None)
            assert process.poll() is None, process.communicate()[0].decode()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def eventually() -> Callable[..., None]:
    return waiting.wait_until


def grey_picture(level: int = 10, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def painted_points(count: int, side: int = 64) -> np.ndarray:
    """(count, 70, 3) points whose first coordinate tells the frame: `PaintEngine` makes it a colour."""
    points = np.full((count, 70, 3), side / 2, np.float32)
    points[:, 0, 0] = np.arange(count) % 200
    points[:, 0, 1] = 0
    return points


@pytest.fixture
def paint() -> Callable[..., tuple[PortraitHandle, np.ndarray]]:
    """Prepares a portrait of a test engine: (handle, points of `count` frames)."""

    def prepare(
        client: Client, engine: str = "paint", count: int = 20, level: int = 10
    ) -> tuple[PortraitHandle, np.ndarray]:
        points = painted_points(count)
        return client.prepare([ReferenceImage(grey_picture(level), points[0])], engine=engine), points

    return prepare


@pytest.fixture
def load_connection() -> Callable[[Path], Connection]:
    return Connection.load


@pytest.fixture(scope="session", params=["egg", "ict"])
def head(request: pytest.FixtureRequest) -> HeadModel:
    """A head model to draw, where there is OpenGL."""
    try:
        Renderer()
    except PortraitError as error:
        pytest.skip(str(error))
    if request.param == "egg":
        return egg_head()
    path = head_model()
    if path is None:
        pytest.skip("the ICT-FaceKit head is not beside the repository")
    return HeadModel.load(path)
