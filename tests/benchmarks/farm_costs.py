#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a farm's parts cost, one by one: frame files by size and format, writing them, messages, a job's folder, its checks.

    .venv/bin/python tests/benchmarks/farm_costs.py [--folder /mnt/farm/scratch] [--frames 10000]

With `--folder` it measures that disk, be it shared or not: a folder is made in it and taken away. Figures are for one
machine that asks alone; docs/farm.md works out from them what many do. Where a step waits for nothing, processor time is
what bears: other programs disturb it less than the clock.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import numpy as np
from PIL import Image
from portrait_server.cli import main as portrait
from portrait_server.engines.registry import create_engine
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.inputs import file_hash
from portrait_server.farm.worker import JobWorker
from portrait_server.media.exr import encode_exr
from portrait_server.media.png import encode_png
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.files.whole_files import replace_file
from portrait_shared.frames.frame_files import frame_path, prepare_folder, valid_frames, write_frame
from portrait_shared.layers import COLORSPACES, USUAL
from portrait_shared.protocol.messages import Render, RenderedFrame, decode
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.benchmarks.gpu_sections.material import reference, track  # noqa: E402

ROUNDS = 5
CHUNK = 48
HASHED_BYTES = 256 << 20
FILES = 1000
"""How many frames the folder has whose listing and checking is timed."""
DIGEST = "0" * 64
Files = dict[str, bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where files are written (default: among temporary ones)")
    parser.add_argument("--frames", type=int, default=10_000, help="of the job that is loaded (%(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
        folder = Path(temporary)
        files = dict(frame_files())
        written(folder, files)
        messages(files["png 1024"])
        ray_calls(files["png 1024"])
        checks(folder, files["png 512"])
        job(folder, asked.frames)
    memory()


def frame_files() -> Iterator[tuple[str, bytes]]:
    """Frames of `warp` as files, by format and side; what each takes is printed."""
    print(f"{'frame':>22} {'MB':>7} {'encoded in':>11} ms of processor")
    engine = create_engine("warp", "cpu")
    for side in (512, 1024, 2048):
        photo = reference(side)
        portrait, row = engine.prepare([photo]), track(photo.points, 8)[3:4]
        pixels, cut_out = (engine.render(portrait, row, (side, side), matte)[0] for matte in (False, True))
        layers = engine.render_layers(portrait, np.concatenate([row, row]), (side, side), False, USUAL)[0]
        makers = {
            "png": partial(encode_png, pixels, DIGEST, "warp"),
            "png cut out": partial(encode_png, cut_out, DIGEST, "warp"),
            "exr rgba": partial(encode_exr, layers[..., :4].copy(), ("rgba",), COLORSPACES[0], DIGEST, "warp"),
            "exr all layers": partial(encode_exr, layers, USUAL, COLORSPACES[0], DIGEST, "warp"),
        }
        for kind, make in makers.items():
            made = timed(make)
            name = f"{kind} {side}"
            print(f"{name:>22} {len(made.result) / 1e6:7.2f} {1000 * made.processor:11.1f}", flush=True)
            yield name, made.result


def written(folder: Path, files: Files) -> None:
    """As frames are written (whole or not at all), and with the disk told to keep them before they take their place."""
    print(f"\n{'written and renamed':>22} {'ms':>7} {'processor':>10}   {'with fsync':>10} {'MB/s':>7}")
    for name in ("png 512", "png 1024", "png 2048", "exr all layers 1024", "exr all layers 2048"):
        data, path = files[name], frame_path(folder, 1)
        plain, kept = timed(partial(write_frame, path, data)), timed(partial(_write_and_sync, path, data))
        print(
            f"{name:>22} {1000 * plain.seconds:7.2f} {1000 * plain.processor:10.2f}   {1000 * kept.seconds:10.2f} "
            f"{len(data) / 1e6 / kept.seconds:7.0f}",
            flush=True,
        )


def _write_and_sync(path: Path, data: bytes) -> None:
    partial_file = path.with_suffix(".synced")
    with partial_file.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial_file, path)


def messages(png: bytes) -> None:
    """Between a worker and its server: bytes beside the payload, and processor time to make and read them, with all
    checks."""
    points = np.zeros((CHUNK, 70, 3), np.float32)
    asked = Render(1, DIGEST, (1024, 1024), False, "png", 16, np.arange(CHUNK, dtype=np.int32), points)
    print(f"\n{'message':>22} {'bytes':>9} {'of them payload':>16} {'made in µs':>11} {'read in µs':>11}")
    for name, message, payload in (
        (f"request of {CHUNK} frames", asked, points.nbytes),
        ("a frame, png 1024", RenderedFrame(1, 1, DIGEST, png), len(png)),
    ):
        made = timed(message.encode, many=100)
        read = timed(partial(decode, [bytes(part) for part in made.result]), many=100)
        size = sum(memoryview(part).nbytes for part in made.result)
        print(f"{name:>22} {size:9} {payload:16} {1e6 * made.processor:11.0f} {1e6 * read.processor:11.0f}", flush=True)
    with Client(ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu")) as client:
        client.echo()
        asked_and_answered = timed(client.echo, many=100)
        print(f"{'there and back':>22} {1e6 * asked_and_answered.seconds:.0f} µs by the clock, "
              f"{1e6 * asked_and_answered.processor:.0f} of this processor")  # fmt: skip


class _Drawer:
    """Answers as `farm.ray_worker.RayWorker` does, and draws nothing."""

    def __init__(self, png: bytes) -> None:
        self._png = png

    def draw(self, frames: list[int], sends: bool) -> dict[str, Any]:
        if sends:
            return {"stored": [], "frames": [(number, self._png) for number in frames], "error": None}
        return {"stored": [(number, True, "") for number in frames], "frames": [], "error": None}


def ray_calls(png: bytes) -> None:
    """What the driver of a Ray cluster does for a chunk: it hands it out, and takes what became of it."""
    if importlib.util.find_spec("ray") is None:
        print("\nno Ray here")
        return
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    ray.init(num_cpus=1, object_store_memory=1 << 28, include_dashboard=False, configure_logging=False)
    drawer = ray.remote(_Drawer).remote(png)
    print(f"\n{'a chunk by Ray':>22} {'ms':>8} {'processor':>10}")
    for name, count, sends in (("48 frames, in a folder", CHUNK, False), ("8 png 1024 sent back", 8, True)):
        numbers = list(range(count))
        ray.get(drawer.draw.remote(numbers, sends))
        took = timed(lambda numbers=numbers, sends=sends: ray.get(drawer.draw.remote(numbers, sends)), many=20)  # type: ignore[misc]
        print(f"{name:>22} {1000 * took.seconds:8.2f} {1000 * took.processor:10.2f}", flush=True)
    ray.shutdown()


def checks(folder: Path, png: bytes) -> None:
    """What a task does with its folder before it draws, and `verify` afterwards."""
    frames = folder / "many"
    prepare_folder(frames)
    digests = {number: DIGEST for number in range(1, FILES + 1)}
    for number in digests:
        replace_file(frame_path(frames, number), png)
    chunk = {number: digests[number] for number in range(1, CHUNK + 1)}
    print(f"\n{'a folder of ' + str(FILES):>22} {'ms':>8} {'processor':>10}")
    for name, what in (
        ("made ready", partial(prepare_folder, frames)),
        (f"{FILES} frames checked", partial(valid_frames, frames, digests)),
        (f"{CHUNK} frames checked", partial(valid_frames, frames, chunk)),
    ):
        took = timed(what)
        assert took.result is None or took.result.keys() >= chunk.keys(), "they are all valid"
        print(f"{name:>22} {1000 * took.seconds:8.1f} {1000 * took.processor:10.1f}", flush=True)


def job(folder: Path, count: int) -> None:
    """A long job: written, loaded as each task does, and checked against what would be drawn here."""
    photo = reference(512)
    Image.fromarray(photo.image).save(folder / "photo.png")
    LandmarkTrack(photo.points[np.newaxis], (512, 512)).save(folder / "points.npz")
    LandmarkTrack(track(photo.points, count), (512, 512)).save(folder / "track.npz")
    words = ["job", "write", folder / "job", "--reference", folder / "photo.png", "--track", folder / "track.npz"]
    print(f"\na job of {count} frames", flush=True)
    assert portrait([*map(str, words), "--reference-points", str(folder / "points.npz"), "--device", "cpu"]) == 0
    there = sum(file.stat().st_size for file in (folder / "job").rglob("*") if file.is_file())
    loaded = timed(partial(FarmJob.load, folder / "job"))
    print(f"{there / 1e6:.1f} MB, of which job.json {(folder / 'job' / 'job.json').stat().st_size / 1e6:.1f}; "
          f"loaded, inputs hashed, in {1000 * loaded.processor:.0f} ms of processor", flush=True)  # fmt: skip
    begun, used = time.perf_counter(), time.process_time()
    with JobWorker(loaded.result, device="cpu", output=folder / "drawn") as worker:
        print(f"a worker is ready after {time.perf_counter() - begun:.1f} s by the clock, of which "
              f"{time.process_time() - used:.1f} of its processor (its server's come on top)", flush=True)  # fmt: skip
        chunk = loaded.result.frames[:CHUNK]
        list(worker.render(chunk))
        again = timed(lambda: list(worker.render(chunk)))
        assert [frame.drawn for frame in again.result] == [False] * CHUNK
        print(f"{CHUNK} frames that are there are known as valid in {1000 * again.processor:.0f} ms of processor")
    big = folder / "big"
    big.write_bytes(os.urandom(HASHED_BYTES))
    hashed = timed(partial(file_hash, big))
    print(f"a large input is hashed at {HASHED_BYTES / 1e6 / hashed.processor:.0f} MB/s of processor")


def memory() -> None:
    """The most that a worker's server takes, with one portrait as large as its frames, on the processor."""
    print(f"\n{'server with':>22} {'MiB at most':>12}")
    for engine in ("warp", "fewshot"):
        for side in (512, 1024, 2048, 4096):
            photo = reference(side)
            server = ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu")
            with Client(server) as client:
                handle = client.prepare([ReferenceImage(photo.image, photo.points)], engine=engine)
                for _ in client.render(handle, track(photo.points, 12), np.arange(12), encoding="png"):
                    pass
                status = Path(f"/proc/{server.pid}/status")
                if not status.exists():
                    return print("Linux alone tells it")
                kib = int(status.read_text().split("VmHWM:")[1].split()[0])
            print(f"{engine + ' ' + str(side):>22} {kib / 1024:12.0f}", flush=True)


class Timed(NamedTuple):
    """Of one call, medians of some rounds: by the clock, of this process's processors; and what it returned."""

    seconds: float
    processor: float
    result: Any


def timed(what: Callable[[], Any], many: int = 1) -> Timed:
    """Calls it, `many` times in each round."""
    rounds, result = [], None
    for _ in range(ROUNDS):
        begun, used = time.perf_counter(), time.process_time()
        for _ in range(many):
            result = what()
        rounds.append(((time.perf_counter() - begun) / many, (time.process_time() - used) / many))
    seconds, processor = np.median(rounds, axis=0).tolist()
    return Timed(seconds, processor, result)


if __name__ == "__main__":
    main()
