# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workers are wanted on a Ray cluster, and how many of them find room: by GPUs, or by cores and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

WORKER_BYTES: Final = 2 << 30
"""What a worker that draws on the processor may take of a node's memory: some 1.2 GB were measured at 1024²."""


@dataclass(frozen=True)
class Wish:
    """Which workers are wanted.

    Attributes:
        workers: how many; as many as there is room for where None.
        cores: of each, and how many threads draw there; where None one, or on GPUs what there is for each.
        gpus: share of a GPU that each takes, where they draw on GPUs.
        device: ``auto`` (GPUs where the cluster has some), ``cpu`` or a kind of GPU; which of several each worker gets is
            for Ray.
    """

    workers: int | None = None
    cores: int | None = None
    gpus: float = 1.0
    device: str = "auto"


def placement(nodes: Iterable[Mapping[str, float]], wish: Wish) -> tuple[dict[str, float], int]:
    """Ray's options for each worker, and how many find room in the cluster.

    Args:
        nodes: resources of each machine.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where none ever does.
    """
    nodes = list(nodes)
    on_gpus = wish.device not in ("auto", "cpu") or (wish.device == "auto" and any(node.get("GPU") for node in nodes))
    cores = wish.cores or (_beside_a_gpu(nodes, wish.gpus) if on_gpus else 1)
    if on_gpus:
        options = {"num_gpus": wish.gpus, "num_cpus": cores}
        room = sum(int(min(_ratio(node, "GPU", wish.gpus), _ratio(node, "CPU", cores))) for node in nodes)
    else:
        options = {"num_cpus": cores, "memory": WORKER_BYTES}
        room = sum(int(min(_ratio(node, "CPU", cores), _ratio(node, "memory", WORKER_BYTES))) for node in nodes)
    if not room:
        what = f"{wish.gpus:g} GPU and " if on_gpus else f"{WORKER_BYTES >> 30} GiB of memory and "
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"No machine of the Ray cluster has {what}{cores} cores for a worker.",
            "Add machines (`ray start --address HEAD:PORT`), or ask for smaller workers or another --device.",
        )  # fmt: skip
    return options, room


def _beside_a_gpu(nodes: Iterable[Mapping[str, float]], share: float) -> int:
    """How many cores there are for each worker's share of a GPU: files are written, and faces placed, by the processor."""
    shares = [int(_ratio(node, "CPU", _ratio(node, "GPU", share))) for node in nodes if node.get("GPU")]
    return max(1, min(shares, default=1))


def _ratio(node: Mapping[str, float], resource: str, each: float) -> float:
    return node.get(resource, 0.0) / each
