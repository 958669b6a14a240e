# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on a Ray cluster of two workers: the same bytes as drawn alone, whoever is lost on the way.

The cluster runs, where the system lets it, in a mount namespace of its own, in which one folder is another: so its
workers are on a machine that does not see that folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.farm import on_ray, ray_crew, ray_gpus
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.on_ray import render_on_ray
from portrait_server.farm.ray_crew import RayCrew
from portrait_server.farm.ray_gpus import Gpu, Machine, gpus_here
from portrait_server.farm.ray_placement import WORKER_BYTES, Placement, Wish, placement
from portrait_server.farm.ray_worker import RayWorker
from portrait_server.networks.device import drawing_bytes
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.track import LandmarkTrack

from tests.signed_frames import signed_frames
from tests.waiting import wait_until

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

_SIDE, _FRAMES = 96, 20
_TWO = Wish(workers=2, device="cpu")


class Cluster(NamedTuple):
    """Attributes:
    address: of its head.
    hidden: a folder that its machine does not see; None where the system does not allow that.
    """

    address: str
    hidden: Path | None


@pytest.fixture(scope="module", autouse=True)
def without_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: workers start without the networks, whose loading is most of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def cluster(without_weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    hidden = tmp_path_factory.mktemp("hidden")
    with PrivateFolder(Path("/tmp") if Path("/tmp").is_dir() else None) as folder:
        start = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--num-cpus=2", "--num-gpus=2",
            "--include-dashboard=false", f"--ray-client-server-port={_free_port()}", f"--temp-dir={folder}",
        ]  # fmt: skip
        apart = _apart(hidden)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*apart, *start], stdout=log, stderr=log, start_new_session=True)
        told = folder / "ray_current_cluster"
        wait_until(
            lambda: (told.is_file() and told.read_text().strip()) or process.poll() is not None,
            note=lambda: (folder / "log").read_text(),
        )
        assert process.poll() is None, (folder / "log").read_text()
        yield Cluster(told.read_text().strip(), hidden if apart else None)
        for pid, _, args in _processes():
            if str(folder) in args:
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _apart(folder: Path) -> list[str]:
    """What runs a command where a folder is another; nothing where the system does not allow that."""
    unshare = shutil.which("unshare")
    for rights in ("-m", "-rm"):
        start = [str(unshare), rights, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder)]
        if unshare is not None and subprocess.run([*start, "true"], capture_output=True).returncode == 0:
            return start
    return []


@pytest.fixture(scope="module")
def job(without_weights: None, tmp_path_factory: pytest.TempPathFactory) -> FarmJob:
    """A photo of 96 x 96 and 20 frames of it."""
    folder = tmp_path_factory.mktemp("material")
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    assert main(["landmarks", str(folder / "photo.png"), "--output", str(folder / "photo.npz"), "--detector", "mediapipe"]) == 0  # fmt: skip
    rest = LandmarkTrack.load(folder / "photo.npz")
    points = np.repeat(rest.points, _FRAMES, axis=0)
    points[:, :LANDMARK_COUNT, 0] += 4 * np.sin(np.linspace(0, 3, _FRAMES))[:, None]
    LandmarkTrack(points, rest.size, 24, start=7).save(folder / "track.npz")
    given = ["--reference", f"{folder}/photo.png", "--reference-points", f"{folder}/photo.npz"]
    given += ["--track", f"{folder}/track.npz", "--connect", f"{folder}/server.json"]
    server = ServerProcess(
        [sys.executable, "-m", "portrait_server"], connection_file=folder / "server.json", device="cpu"
    )
    server.start()
    assert main(["job", "write", str(folder / "job"), *given]) == 0
    assert main(["render", *given, "--output", str(folder / "job" / "alone")]) == 0
    server.stop(10)
    return FarmJob.load(folder / "job")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def connected(cluster: Cluster) -> Iterator[Any]:
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def test_a_worker_that_is_killed_costs_its_chunk_and_no_more(job: FarmJob, connected: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    stored: list[int] = []
    processes: list[int] = []

    def note(text: str) -> None:
        notes.append(text)
        if text.startswith("Ready: "):
            processes.append(int(text.split("process ")[1]))
            if len(processes) == 1:  # as soon as it is ready: it is just about to get its first chunk
                os.kill(processes[0], signal.SIGKILL)

    crew = RayCrew(connected, _TWO, job, tmp_path, job.frames, False, lambda number, *_: stored.append(number), note)
    crew.run(lambda: False)
    assert contents(tmp_path) == signed_frames(job.folder / "alone")
    assert sorted(stored) == list(job.frames)
    (lost,) = [text for text in notes if text.startswith("Lost: ")]
    assert f"process {processes[0]}, which drew frame" in lost
    wait_until(lambda: not any(map(_runs, processes)))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_gpu_that_others_have_filled_gets_no_worker(
    job: FarmJob, connected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs that the machine says it has, of which the first is full; both compute with the processor."""
    full = ["here", "Full GPU, 0.1 of 8.0 GiB free", 8 << 30, 100 << 20]
    empty = ["here", "Empty GPU, 7.0 of 8.0 GiB free", 8 << 30, 7 << 30]

    class Seated(RayWorker):
        def begin(self, order: dict[str, Any], files: dict[str, bytes] | None = None) -> dict[str, Any]:
            from portrait_server.farm import ray_worker

            ray_worker.gpus_here = lambda kind: [[full, empty][int(os.environ["CUDA_VISIBLE_DEVICES"])]]
            return super().begin(order, files)

    monkeypatch.setattr(ray_gpus, "gpus_here", lambda kind: [full, empty])
    monkeypatch.setattr(ray_crew, "RayWorker", Seated)
    notes: list[str] = []
    stored: list[int] = []
    wish = Wish(workers=1)
    crew = RayCrew(
        connected, wish, job, tmp_path, job.frames, False, lambda number, *_: stored.append(number), notes.append
    )
    crew.run(lambda: False)
    assert contents(tmp_path) == signed_frames(job.folder / "alone") and sorted(stored) == list(job.frames)
    assert [text.split(":")[0] for text in notes] == ["Left out", "Ready"] and "Full GPU" in notes[0], notes


def test_workers_of_another_release_are_left_out(
    job: FarmJob, connected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "__version__", "0.0.1")
    notes: list[str] = []
    crew = RayCrew(connected, _TWO, job, tmp_path, job.frames, False, lambda *_: None, notes.append)
    with pytest.raises(PortraitError, match=r"here it is 0\.0\.1") as raised:
        crew.run(lambda: False)
    assert raised.value.code is ErrorCode.VERSION_MISMATCH and raised.value.remedy
    assert [text.split(":")[0] for text in notes] == ["Left out"] * 2 and not contents(tmp_path)


def test_a_cancelled_render_leaves_no_workers(job: FarmJob, connected: Any, tmp_path: Path) -> None:
    crew = RayCrew(connected, _TWO, job, tmp_path, job.frames, False, lambda *_: None, print)
    with pytest.raises(PortraitError) as raised:
        crew.run(lambda: True)
    assert raised.value.code is ErrorCode.CANCELLED and not contents(tmp_path)


class LostCluster:
    """What Ray is like where its head was there a moment ago: as it says it from outside the cluster."""

    class Actor:
        def __getattr__(self, name: str) -> Any:
            return self

        def __call__(self, *given: Any, **named: Any) -> Any:
            return self

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 2.0 * WORKER_BYTES}}]

    def remote(self, of: type) -> Any:
        return self.Actor()

    def wait(self, references: list[Any], timeout: float) -> Any:
        raise ConnectionError("GRPC connection failed")

    def kill(self, actor: Any) -> None:
        pass


def test_a_lost_cluster_is_not_taken_for_a_folder_that_cannot_be_written_to(job: FarmJob, tmp_path: Path) -> None:
    crew = RayCrew(LostCluster(), _TWO, job, tmp_path, job.frames, False, lambda *_: None, print)
    with pytest.raises(ConnectionError):
        crew.run(lambda: False)
    assert not contents(tmp_path)


def test_a_driver_that_ends_before_it_was_told_anything_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray.sys, "executable", shutil.which("false"))
    with pytest.raises(on_ray._Lost), on_ray._Driver({"more than a pipe holds": "x" * (1 << 20)}) as driver:
        list(driver.stored(print))


def test_frames_are_sent_back_from_machines_that_see_neither_job_nor_output_and_a_lost_driver_is_started_again(
    job: FarmJob, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cluster.hidden is None:
        pytest.skip("this system lets nobody have mounts of their own")
    monkeypatch.setattr(on_ray, "_RECONNECT_WAIT_SECONDS", 0.0)
    here = FarmJob.load(shutil.copytree(job.folder, cluster.hidden / "job", ignore=shutil.ignore_patterns("alone")))
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if len(notes) == 1:
            (driver,) = _drivers()
            os.kill(driver, signal.SIGKILL)  # as Ray ends it, without a word, where the cluster's head is lost

    asked = here, here.frames, here.default_output, cluster.address, Wish(1, device="cpu")
    stored = list(render_on_ray(*asked, note=note))
    assert sorted(frame.number for frame in stored) == list(job.frames)
    assert contents(here.default_output) == signed_frames(job.folder / "alone")
    assert all(text.endswith("which sends its frames back") for text in notes if text.startswith("Ready: "))
    more: list[str] = []
    stored = list(render_on_ray(*asked, note=more.append))
    assert [frame.number for frame in stored if not frame.drawn] == list(job.frames) and not more  # nobody is asked


def _drivers() -> list[int]:
    """Of this process's children those that talk to Ray."""
    return [pid for pid, parent, args in _processes() if parent == os.getpid() and "farm.ray_driver" in args]


def _processes() -> list[tuple[int, int, str]]:
    """Number, parent's number and command of each."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [(int(pid), int(parent), args) for pid, parent, args in rows]


@pytest.mark.parametrize("address", ["", "nowhere", "host:port", "http://host:1", "ray://host", "[::1]:70000"])
def test_what_is_no_address_is_refused(job: FarmJob, tmp_path: Path, address: str) -> None:
    with pytest.raises(PortraitError, match="no address of a Ray cluster") as raised:
        next(render_on_ray(job, job.frames, tmp_path, address, _TWO))
    assert raised.value.code is ErrorCode.BAD_CONFIGURATION and "local" in raised.value.remedy


def test_where_nothing_answers_it_is_said_at_once(job: FarmJob, tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match=r"No Ray cluster is reached at '127\.0\.0\.1:1'") as raised:
        next(render_on_ray(job, job.frames, tmp_path, "127.0.0.1:1", _TWO))
    assert raised.value.code is ErrorCode.SERVER_UNAVAILABLE and "ray start --head" in raised.value.remedy


def test_local_is_a_cluster_of_its_own_whatever_the_environment_names() -> None:
    words = "from portrait_server.farm.ray_driver import LOCAL, _cluster\nwith _cluster(LOCAL) as ray: print(len(ray.nodes()))"
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another's"}
    done = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split()[-1] == "1", done.stderr


def test_a_servers_connection_does_not_go_with_a_cluster(
    job: FarmJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["job", "render", str(job.folder), "--output", str(tmp_path), "--ray", "local", "--connect", "file.json"]
    assert main(asked) == 1
    assert "--connect does not go with --ray" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [("--workers", "2"), ("--worker-cores", "1"), ("--worker-gpus", "0.5"), ("--worker-memory", "8")]
)
def test_options_of_workers_need_a_cluster(
    job: FarmJob, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    assert main(["job", "render", str(job.folder), "--output", str(tmp_path / "frames"), *option]) == 1
    assert f"{option[0]} is of --ray" in capsys.readouterr().err
    assert not (tmp_path / "frames").exists()


def test_without_ray_it_is_said_what_to_install(
    job: FarmJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["job", "render", str(job.folder), "--output", str(tmp_path), "--ray", "local"]) == 1
    assert "pip install 'talking-portraits[ray]'" in capsys.readouterr().err


def test_frames_that_the_job_has_not_are_refused_before_any_cluster_is_asked(job: FarmJob, tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as raised:
        next(render_on_ray(job, [1, 2], tmp_path, "127.0.0.1:1", _TWO))
    assert raised.value.code is ErrorCode.BAD_TRACK


def test_workers_are_placed_by_gpus_or_by_cores_and_memory() -> None:
    memory = 8.0 * WORKER_BYTES
    nodes = [{"CPU": 16.0, "memory": memory}, {"CPU": 3.0, "memory": memory, "GPU": 2.0}, {"CPU": 8.0, "GPU": 4.0}]
    machines = [Machine(node) for node in nodes]
    needs = drawing_bytes((1024, 1024))
    assert placement(machines, Wish(), needs) == Placement({"num_gpus": 1.0, "num_cpus": 1}, 2 + 4, 0, needs)
    assert placement(machines[2:], Wish(), needs).options == {"num_gpus": 1.0, "num_cpus": 2}
    assert placement(machines, Wish(device="cuda", gpus=0.5), needs).room == 3 + 8
    assert placement(machines[2:], Wish(gpus=0.4, cores=1), needs).room == 4 * 2, "no worker has parts of two GPUs"
    assert placement(machines, Wish(device="cpu"), needs) == Placement(
        {"num_cpus": 1, "memory": WORKER_BYTES}, 8 + 3, 0, 0
    )
    assert placement(machines[:1], Wish(cores=4), needs).room == 4
    for wish, missing in ((Wish(device="cuda"), "1 GPU and 1 cores"), (Wish(cores=17), "2 GiB of memory and 17 cores")):
        with pytest.raises(PortraitError, match=missing) as raised:
            placement(machines[:1], wish, needs)
        assert raised.value.code is ErrorCode.DEVICE_UNAVAILABLE and raised.value.remedy


def test_workers_are_placed_by_what_gpus_have_free() -> None:
    large, used, small = (_gpu(f"{total} GiB", total, free) for total, free in ((80, 79), (80, 5), (24, 23)))
    lost = Gpu("host", "The device cuda:1 cannot be used.", 0, 0)
    machines = [Machine({"CPU": 64.0, "GPU": 3.0}, (large, used, lost)), Machine({"CPU": 64.0, "GPU": 1.0}, (small,))]
    of_2048, of_4096 = drawing_bytes((2048, 2048)), drawing_bytes((4096, 4096))
    assert of_2048 < 5 << 30 < of_4096 < 7 << 30
    found = placement(machines, Wish(), of_2048)
    assert (found.room, found.spare) == (3, 1) and "cuda:1" in "".join(found.left_out), "one a GPU"
    found = placement(machines, Wish(), of_4096)
    assert (found.room, found.spare, len(found.left_out)) == (2, 2, 2)
    assert "6.8 GiB" in found.left_out[0] and "80 GiB, 5.0 of" in found.left_out[0]

    found = placement(machines, Wish(memory=4 << 30), of_2048)
    assert found.options == {"num_gpus": 0.1666, "num_cpus": 3} and (found.room, found.needs) == (6 + 1 + 5, 4 << 30)
    assert placement(machines[:1], Wish(memory=4 << 30), of_2048).options["num_gpus"] == 0.05
    with pytest.raises(PortraitError, match=r"23\.0 of 24\.0 GiB free") as raised:
        placement(machines[1:], Wish(memory=30 << 30), of_2048)
    assert raised.value.code is ErrorCode.DEVICE_UNAVAILABLE and "free" in raised.value.remedy


def _gpu(name: str, total: int, free: int) -> Gpu:
    return Gpu("host", f"{name}, {free:.1f} of {total:.1f} GiB free", total << 30, free << 30)


def test_a_machine_without_gpus_tells_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_here("mps" if sys.platform != "darwin" else "cuda")[0][2:] == [0, 0]
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    assert gpus_here("cuda") == []
