# SPDX-License-Identifier: GPL-3.0-or-later
"""The real `portrait` command, with engines beside the real ones whose speed and failures tests can choose."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from portrait_server.cli import main
from portrait_server.engines.base import DrivenPhoto, Engine, Reference
from portrait_server.engines.registry import ENGINES
from portrait_server.networks import device
from portrait_server.service import branches, budgets, service, uploads
from portrait_shared.body import BREATHING
from portrait_shared.client import link
from portrait_shared.devices import kind_of
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import CHANNELS, FOLLOWING, in_order
from portrait_shared.other_faces import OtherFaces

GPU_VARIABLE = "TALKING_PORTRAITS_TEST_GPU"
PORTRAIT_BYTES_VARIABLE = "TALKING_PORTRAITS_TEST_PORTRAIT_BYTES"
NUMBERED_VARIABLE = "TALKING_PORTRAITS_TEST_NUMBERED_GPUS"
PATIENCE_SECONDS = 600.0


class PaintEngine(Engine):
    """Paints each frame in a colour made of its first point and its breath; takes a fixed time for each."""

    name = "paint"
    fingerprint = "paint-1"
    batch_size = 4
    seconds_per_frame = 0.0

    def prepare(self, references: Sequence[Reference], others: np.ndarray | None = None) -> int:
        return int(references[0].image[0, 0, 0])

    def driven_photo(self, portrait: int) -> DrivenPhoto:
        """One with nobody in it, so that frames keep their colour under a watermark."""
        return DrivenPhoto(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32))

    def render(
        self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        time.sleep(self.seconds_per_frame * len(points))
        frames = np.empty((len(points), size[1], size[0], 4 if matte else 3), np.uint8)
        color = points[:, 0, 0] + portrait if body is None else points[:, 0, 0] + portrait + 100 * body[:, BREATHING]
        frames[...] = color.astype(np.uint8)[:, None, None, None]
        return frames

    def render_layers(
        self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool, layers: Sequence[str],
        body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        """All layers are the frame's colour; those of the frames that follow, by how much it grows to the next one's."""
        own, *following = np.split(points[:, 0, 0], 1 if FOLLOWING.isdisjoint(layers) else 2)
        time.sleep(self.seconds_per_frame * len(own))
        channels = [
            following[0] - own if layer in FOLLOWING else own + portrait
            for layer in in_order(layers) for _ in CHANNELS[layer]
        ]  # fmt: skip
        frames = np.stack(channels, -1).astype(np.float32)[:, None, None]
        return np.repeat(np.repeat(frames, size[1], 1), size[0], 2)


class SlowEngine(PaintEngine):
    name = "slow"
    seconds_per_frame = 0.03


class FailingEngine(PaintEngine):
    """Fails in the way that the first point's y tells."""

    name = "failing"
    render_layers = Engine.render_layers

    def render(
        self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        failures: list[Callable[[], np.ndarray]] = [
            lambda: np.zeros((1, 2, 3, 3), np.uint8),
            lambda: np.asarray([1] / np.asarray("x")),
            lambda: (_ for _ in ()).throw(MemoryError()),
        ]
        return failures[int(points[0, 0, 1])]()


class DeviceEngine(PaintEngine):
    """Fails as torch does where a GPU fails: the test's GPU is a folder, see `Gpu`."""

    name = "device"
    batch_size = 2

    def __init__(self, device: str) -> None:
        Gpu().fail_at("load")
        self.device = device
        self.fingerprint = f"device-1-{kind_of(device)}"

    def prepare(self, references: Sequence[Reference], others: np.ndarray | None = None) -> int:
        Gpu().fail_at("prepare")
        return super().prepare(references, others)

    def render(
        self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        for frame in points[:, 0, 0].astype(int):
            Gpu().fail_at(str(frame))
            Gpu().fail_at(f"{self.device.replace(':', '-')}-{frame}")
        return super().render(portrait, points, size, matte, body, others)


class Gpu:
    """A folder that a test makes and that outlives servers: `there` in it says that there is a GPU, which calls itself
    `mps`. Any other file is a fault to come, once: its name begins with the frame where, and its text is what torch says."""

    def __init__(self) -> None:
        self.folder = Path(os.environ.get(GPU_VARIABLE, "/nonexistent"))

    @property
    def there(self) -> bool:
        return (self.folder / "there").exists()

    def fail_at(self, place: str) -> None:
        for fault in sorted(self.folder.glob(f"{place}.*")):
            kind, _, said = fault.read_text().partition(": ")
            fault.unlink()
            if kind == "RuntimeError":
                raise RuntimeError(said)
            import torch  # most servers of tests start without it, and faster so

            raise getattr(torch, kind, RuntimeError)(said)

    def plug_in(self) -> None:
        """The server's own search for devices finds it."""
        missing_driver, look_at = device.missing_driver, device.look_at
        seen = device.Device("mps", "Folder GPU", 8 * 2**30, 6 * 2**30)
        device.missing_driver = lambda name: "" if name == "mps" and self.there else missing_driver(name)
        device.look_at = lambda name: seen if name == "mps" and self.there else look_at(name)


class NumberedGpus:
    """Two GPUs that compute with the processor: names that become torch's device for it, in this process and in the branches.
    One that has a file `absent-1` in the folder of `Gpu` is not there."""

    def plug_in(self) -> None:
        missing_driver = device.missing_driver
        device.missing_driver = lambda name: "" if kind_of(name) == "cuda" else missing_driver(name)
        device.look_at = self._look_at
        device.all_of_kind = lambda kind: tuple(name for name in ("cuda:0", "cuda:1") if self._is_there(name))
        resolved = device.torch_device
        device.torch_device = lambda name: resolved("cpu")

    def _is_there(self, name: str) -> bool:
        return not (Gpu().folder / f"absent-{name[-1]}").exists()

    def _look_at(self, name: str) -> device.Device:
        if not self._is_there(name):
            raise PortraitError(ErrorCode.DEVICE_UNAVAILABLE, f"There is no GPU {name}.", "Choose one that is there.")
        return device.Device(name, "Numbered GPU", 8 * 2**30, 6 * 2**30)


class Unmeasurable:
    @property
    def nbytes(self) -> int:
        raise OverflowError("no number holds it")


class UnmeasurableEngine(PaintEngine):
    """Prepares what cannot even be measured."""

    name = "unmeasurable"

    def prepare(self, references: Sequence[Reference], others: np.ndarray | None = None) -> Unmeasurable:
        return Unmeasurable()


def shorten_tuning() -> None:
    """Tunes with less effort, for tests that compare what comes of it."""
    from portrait_server.tuning import search

    effort = search.Effort(steps=16, batch_size=4, rate=5e-3, measure_every=8, pairs=12, measured=4)
    search.tune_painters = functools.partial(search.tune_painters, effort=effort)


def shrink_budgets(portrait_bytes: int) -> None:
    """Keeps fewer portraits, and half as many bytes of photographs, so that tests see what is forgotten."""
    service.Budgets = functools.partial(budgets.Budgets, portraits=portrait_bytes)
    uploads.REFERENCE_BYTES = portrait_bytes // 2


branches.COMMAND[:] = [sys.executable, __file__]
# Of branches: those of a machine that has much to do are lost in tests that ask for it alone.
link.GREETING_SECONDS = link.SILENCE_SECONDS = PATIENCE_SECONDS
if NUMBERED_VARIABLE in os.environ:
    NumberedGpus().plug_in()
elif GPU_VARIABLE in os.environ:
    Gpu().plug_in()
if os.environ.get("TALKING_PORTRAITS_TEST_ENGINES_ALONE"):  # loading the real ones is most of a start
    ENGINES.clear()
ENGINES.update(paint=lambda *_: PaintEngine(), slow=lambda *_: SlowEngine(), failing=lambda *_: FailingEngine())
ENGINES["device"] = lambda device, *_: DeviceEngine(device)
ENGINES["unmeasurable"] = lambda *_: UnmeasurableEngine()

if PORTRAIT_BYTES_VARIABLE in os.environ:
    shrink_budgets(int(os.environ[PORTRAIT_BYTES_VARIABLE]))

if os.environ.get("TALKING_PORTRAITS_TEST_SHORT_TUNING"):  # in the process that tunes, too, which imports this again
    shorten_tuning()

if __name__ == "__main__":
    sys.exit(main())
