# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workers are wanted on a Ray cluster, and how many of them find room: by GPUs and their memory, or by cores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.farm.ray_gpus import Machine

WORKER_BYTES: Final = 2 << 30
"""What a worker that draws on the processor may take of a node's memory: some 1.2 GB were measured at 1024²."""
_FINEST: Final = 10_000  # Ray counts shares in so many parts of one


@dataclass(frozen=True)
class Wish:
    """Which workers are wanted.

    Attributes:
        workers: how many; as many as there is room for where None.
        cores: of each, and how many threads draw there; where None one, or on GPUs what there is for each.
        gpus: share of a GPU that each takes, where they draw on GPUs.
        device: ``auto`` (GPUs where the cluster has some), ``cpu`` or a kind of GPU; which of several each worker gets is
            for Ray.
        memory: bytes of a GPU's memory that each takes. Then they decide the share, instead of `gpus`.
    """

    workers: int | None = None
    cores: int | None = None
    gpus: float = 1.0
    device: str = "auto"
    memory: int | None = None


@dataclass(frozen=True)
class Placement:
    """Where workers go.

    Attributes:
        options: Ray's for each.
        room: how many of them find a place at a time.
        spare: places that Ray would give but whose GPU has too little memory.
        needs: bytes that must be free on a worker's GPU; 0 for the processor.
        left_out: what a person is to know of GPUs that are not used, a sentence each.
    """

    options: dict[str, float]
    room: int
    spare: int = 0
    needs: int = 0
    left_out: tuple[str, ...] = ()


def on_gpus(nodes: Iterable[Mapping[str, float]], device: str) -> bool:
    """Whether workers that want a device draw on GPUs, where the cluster's machines have such resources."""
    return device not in ("auto", "cpu") or (device == "auto" and any(node.get("GPU") for node in nodes))


def placement(machines: Sequence[Machine], wish: Wish, frame_needs: int) -> Placement:
    """How workers are placed.

    Args:
        frame_needs: bytes of a GPU's memory that the job takes at least.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where none ever finds room.
    """
    nodes = [machine.resources for machine in machines]
    if not on_gpus(nodes, wish.device):
        cores = wish.cores or 1
        room = sum(int(min(_ratio(node, "CPU", cores), _ratio(node, "memory", WORKER_BYTES))) for node in nodes)
        _check(room, f"{WORKER_BYTES >> 30} GiB of memory and {cores} cores", "")
        return Placement({"num_cpus": cores, "memory": WORKER_BYTES}, room)
    needs = wish.memory or frame_needs
    share = wish.gpus if wish.memory is None else _share(machines, wish.memory)
    each = int(1 / share)
    cores = wish.cores or _beside_a_gpu(nodes, each)
    places = [int(min(int(node.get("GPU", 0)) * each, _ratio(node, "CPU", cores))) for node in nodes]
    fitting = [min(count, _fitting(machine, each, needs)) for count, machine in zip(places, machines, strict=True)]
    left_out = tuple(
        f"Left out: a GPU of {gpu.host}, for a worker takes {needs / 2**30:.1f} GiB of its memory: {gpu.seen}"
        for machine in machines for gpu in machine.gpus if gpu.free_bytes < needs
    )  # fmt: skip
    _check(sum(fitting), f"{share:g} GPU and {cores} cores", " ".join(left_out))
    options = {"num_gpus": share, "num_cpus": cores}
    return Placement(options, sum(fitting), sum(places) - sum(fitting), needs, left_out)


def _check(room: int, what: str, left_out: str) -> None:
    if not room:
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"No machine of the Ray cluster has {what} for a worker. {left_out}".strip(),
            "Add machines (`ray start --address HEAD:PORT`), wait until GPUs are free, or ask for smaller workers or another --device.",
        )  # fmt: skip


def _share(machines: Iterable[Machine], memory: int) -> float:
    """Of a GPU, for workers that each take so many bytes: Ray knows one share for all, so the smallest GPU decides."""
    counts = [gpu.total_bytes // memory for machine in machines for gpu in machine.gpus]
    return _FINEST // max(1, min((count for count in counts if count), default=1)) / _FINEST


def _fitting(machine: Machine, each: int, needs: int) -> int:
    """How many workers the memory of a machine's GPUs bears; as many as its GPUs say where it does not tell."""
    if not machine.gpus:
        return int(machine.resources.get("GPU", 0)) * each
    return sum(min(each, gpu.free_bytes // needs) for gpu in machine.gpus)


def _beside_a_gpu(nodes: Iterable[Mapping[str, float]], each: int) -> int:
    """How many cores there are for each worker on GPUs: files are written, and faces placed, by the processor."""
    shares = [int(node.get("CPU", 0.0) / (int(node["GPU"]) * each)) for node in nodes if node.get("GPU", 0) >= 1]
    return max(1, min(shares, default=1))


def _ratio(node: Mapping[str, float], resource: str, each: float) -> float:
    return node.get(resource, 0.0) / each
