# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender with the extension registered, an empty scene, a small portrait, and a real photo."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests import waiting  # noqa: E402
from tests.blender import zips  # noqa: E402

WIDTH, HEIGHT = 96, 64
_ASTRONAUT = "import sys, skimage.data, PIL.Image; PIL.Image.fromarray(skimage.data.astronaut()).save(sys.argv[1])"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the server's packages beside bpy runs in the project's own environment alone."""
    if importlib.util.find_spec("portrait_server") is None:
        for item in items:
            if item.get_closest_marker("servers_environment"):
                item.add_marker(pytest.mark.skip(reason="needs the server's own environment"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The bpy modules of Blender 4 crash when Python ends after a class with a property was registered."""
    bpy = sys.modules.get("bpy")
    if bpy is not None and bpy.app.version < (5, 0, 0) and _exit_status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status)


_exit_status: int | None = None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _exit_status
    _exit_status = int(exitstatus)


def face_points(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(70, 3) pixels: a plain face with depth, upright in the middle of the picture."""
    unit, x, y = height / 4, width / 2, height / 2
    points = np.zeros((70, 3))
    turn = np.linspace(-1, 1, 17)
    points[:17] = np.column_stack((turn, 1.4 * (1 - turn**2) - 0.2, 0.9 * turn**2 - 0.3))
    side = np.linspace(-0.75, -0.15, 5)
    points[17:22] = np.column_stack((side, -0.55 - 0.1 * np.sin(np.linspace(0, np.pi, 5)), np.full(5, -0.3)))
    points[22:27] = (points[17:22] * (-1, 1, 1))[::-1]
    points[27:31] = np.column_stack((np.zeros(4), np.linspace(-0.35, 0.25, 4), np.linspace(-0.45, -0.75, 4)))
    points[31:36] = np.column_stack((np.linspace(-0.2, 0.2, 5), np.full(5, 0.38), np.full(5, -0.5)))
    around = np.linspace(np.pi, 3 * np.pi, 6, endpoint=False)
    points[36:42] = np.column_stack((-0.42 + 0.17 * np.cos(around), -0.3 + 0.08 * np.sin(around), np.full(6, -0.3)))
    points[42:48] = np.column_stack((0.42 + 0.17 * np.cos(around), -0.3 + 0.08 * np.sin(around), np.full(6, -0.3)))
    around = np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)
    points[48:60] = np.column_stack((0.35 * np.cos(around), 0.7 + 0.14 * np.sin(around), np.full(12, -0.5)))
    around = np.linspace(np.pi, 3 * np.pi, 8, endpoint=False)
    points[60:68] = np.column_stack((0.28 * np.cos(around), 0.7 + 0.05 * np.sin(around), np.full(8, -0.48)))
    points[68], points[69] = (-0.42, -0.3, -0.3), (0.42, -0.3, -0.3)
    return (points * unit + (x, y, 0)).astype(np.float32)


def photo_pixels(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(height, width, 3) uint8: smooth colours over the whole range."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2)), 2).astype(
        np.uint8
    )


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Writes (H, W, 3 or 4) uint8 with Blender's own writer."""
    import bpy

    height, width = pixels.shape[:2]
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., : pixels.shape[2]] = pixels
    image = bpy.data.images.new("writer", width, height, alpha=pixels.shape[2] == 4)
    image.pixels.foreach_set((rgba[::-1].astype(np.float32) / 255).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save()
    bpy.data.images.remove(image)
    return path


patient_client = pytest.fixture(scope="session", autouse=True)(waiting.patient_client)


@pytest.fixture(scope="session")
def addon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The extension, registered; a server that it starts lives until the end."""
    bpy = pytest.importorskip("bpy")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    # A server that the developer runs is not the one to test.
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))
    import blender_addon
    from blender_addon.connection import command_run, server

    blender_addon.register()
    with pytest.MonkeyPatch.context() as patch:  # as in `patient_client`
        patch.setattr(server, "_START_TIMEOUT_SECONDS", waiting.PATIENCE_SECONDS)
        patch.setattr(command_run, "_END_TIMEOUT_SECONDS", waiting.PATIENCE_SECONDS)
        yield blender_addon
    blender_addon.unregister()


@pytest.fixture
def scene(addon: Any) -> Iterator[Any]:
    """An empty file's scene."""
    import bpy

    # Preferences, which this leaves alone, are those of the factory already; loading them takes five times as long.
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    yield bpy.context.scene
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


@pytest.fixture
def face() -> np.ndarray:
    return face_points()


@pytest.fixture
def photo() -> np.ndarray:
    return photo_pixels()


@pytest.fixture
def write() -> Callable[[Path, np.ndarray], Path]:
    return write_png


@pytest.fixture
def photo_file(tmp_path: Path, scene: Any) -> Path:
    return write_png(tmp_path / "pictures" / "anna.png", photo_pixels())


@pytest.fixture
def portrait(scene: Any, photo_file: Path) -> Any:
    """A portrait with a rig on known landmarks, in a .blend that is saved."""
    import bpy

    from blender_addon.portraits import portrait_parts

    bpy.ops.wm.save_as_mainfile(filepath=str(photo_file.parents[1] / "scene.blend"))
    made = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, made, face_points())
    return made


@pytest.fixture
def acting(portrait: Any) -> Any:
    """The small portrait with three frames to render, the chin dropping."""
    import bpy

    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 4, 6
    bone = portrait.rig.pose.bones["jaw_09"]
    bone.keyframe_insert("location", frame=4)
    bone.location[1] = -0.15
    bone.keyframe_insert("location", frame=6)
    return portrait


@pytest.fixture
def needs_server(addon: Any) -> Iterator[None]:
    if importlib.util.find_spec("portrait_server") is None and "TALKING_PORTRAITS_SERVER" not in os.environ:
        pytest.skip("no server: portrait_server is not installed here and TALKING_PORTRAITS_SERVER is not set")
    yield
    from blender_addon.jobs import job_queue

    job_queue.abandon_all()


@pytest.fixture
def needs_sound() -> None:
    import bpy

    if not bpy.app.build_options.audaspace:
        pytest.skip("this Blender is built without sound")


class Hold:
    """Holds renders back once they have so many frames, until it lets go: their middle lasts as long as a test needs it."""

    def __init__(self) -> None:
        self._frames: float = float("inf")
        self._changed = threading.Event()

    def at(self, frames: int) -> None:
        """Lets each render go on to that many frames."""
        self._frames = frames
        self._changed.set()

    def let_go(self) -> None:
        self._frames = float("inf")
        self._changed.set()

    def pass_on(self, frames: Iterator[Any], cancelled: Callable[[], bool]) -> Iterator[Any]:
        for number, frame in enumerate(frames):
            while number >= self._frames and not cancelled():
                self._changed.wait(0.05)
                self._changed.clear()
            yield frame


@pytest.fixture
def hold(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    from blender_addon.render import render_job

    held, store_frames = Hold(), render_job.store_frames

    def store_held(*arguments: Any, cancelled: Callable[[], bool], **options: Any) -> Iterator[Any]:
        return held.pass_on(store_frames(*arguments, cancelled=cancelled, **options), cancelled)

    monkeypatch.setattr(render_job, "store_frames", store_held)
    yield held
    held.let_go()


@pytest.fixture(scope="session")
def astronaut_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins, 512 x 512, from scikit-image: this Python's, or that of the main environment."""
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    python = sys.executable if importlib.util.find_spec("skimage") else os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON")
    if python is None:
        pytest.skip("no photo: scikit-image is not installed here and TALKING_PORTRAITS_BUILD_PYTHON is not set")
    subprocess.run([python, "-c", _ASTRONAUT, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def without_weights(addon: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: servers start without the networks, whose loading is most of a start."""
    from blender_addon.connection import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKING_PORTRAITS_WEIGHTS", str(tmp_path_factory.mktemp("weights") / "none"))
        server.stop()
        yield
        server.stop()


@pytest.fixture
def no_watermark(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what compares frames with the photo itself."""
    from blender_addon.connection import preferences

    monkeypatch.setattr(preferences._DEFAULTS, "watermark", False)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip for this system."""
    (path,) = zips.build(tmp_path_factory.mktemp("dist"), "--platform", zips.HERE)
    return path


@pytest.fixture(scope="session")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This environment's packages without those that the extension brings."""
    return zips.place_bare_site(tmp_path_factory.mktemp("bare") / "site")


@pytest.fixture
def installing(addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A place to install the server into, from an index on loopback, with the variables that a fresh Blender has."""
    from tests.blender.server_wheels import Place, needed_wheels, server_wheel
    from tests.package_index import serve_index

    build_python = Path(os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON", sys.executable))
    uv = build_python.parent / ("uv.exe" if os.name == "nt" else "uv")
    if not uv.is_file():
        pytest.skip(f"uv is not installed beside {build_python}")
    for name in [name for name in os.environ if name.startswith(("UV_", "PYTHON")) or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TALKING_PORTRAITS_UV", str(uv))
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(server_wheel(tmp_path / "bin of ours")))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is asked that is not on loopback
    with serve_index() as index:
        index.add(*needed_wheels(tmp_path / "wheels"))
        yield Place(tmp_path / "the user's" / "süß" / "server", index, tmp_path / "wheels")
