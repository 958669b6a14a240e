# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of a Ray cluster and their memory, as each machine tells: Ray itself knows only how many there are."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portrait_shared.devices import GPUS, missing_driver
from portrait_shared.errors import PortraitError

from portrait_server.networks.device import all_of_kind, look_at

_LOOK_SECONDS: Final = 120.0
"""torch, loaded from a cold disk of the network, takes its time."""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        seen: what it is, with its memory, for a person; or why it cannot be used.
        total_bytes, free_bytes: of its memory; 0 where it cannot be used.
    """

    host: str
    seen: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Machine:
    """One machine of a cluster.

    Attributes:
        resources: as Ray counts them.
        gpus: those that it tells of; none where it was not asked, or cannot say.
    """

    resources: Mapping[str, float]
    gpus: tuple[Gpu, ...] = ()


def gpus_here(kind: str) -> list[list[Any]]:
    """The GPUs that this process may use, as values of `Gpu`.

    They are looked at by a process that ends at once: one that has seen a GPU holds some of its memory until its end.

    Args:
        kind: one of `GPUS`; ``auto`` for the first of them that has a driver here.

    Returns:
        none where they cannot be looked at.
    """
    words = [sys.executable, "-m", "portrait_server.farm.ray_gpus", kind]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_LOOK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [[socket.gethostname(), *values] for values in json.loads(done.stdout)]


def ask_machines(ray: Any, nodes: Sequence[Mapping[str, Any]], kind: str) -> list[Machine]:
    """Asks every machine that has GPUs about them, all at once.

    Args:
        ray: the module, connected.
        nodes: as `ray.nodes` tells of those that are alive.
        kind: as `gpus_here` takes it.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(gpus_here)
    asked = {
        node["NodeID"]: look.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(kind)
        for node in nodes
        if node["Resources"].get("GPU")
    }
    if asked:
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=_LOOK_SECONDS)
    told: dict[str, list[list[Any]]] = {}
    for node, answer in asked.items():
        try:
            told[node] = ray.get(answer, timeout=0)
        except ray.exceptions.RayError:  # its workers will say what is wrong there
            ray.cancel(answer, force=True)
    return [
        Machine(node["Resources"], tuple(Gpu(*values) for values in told.get(node["NodeID"], []))) for node in nodes
    ]


def main() -> int:
    kind = sys.argv[1]
    kinds = [name for name in GPUS if not missing_driver(name)][:1] if kind == "auto" else [kind]
    print(json.dumps([_values(name) for kind in kinds for name in all_of_kind(kind)]))
    return 0


def _values(name: str) -> tuple[str, int, int]:
    try:
        device = look_at(name)
    except PortraitError as error:
        return error.message, 0, 0
    return str(device), device.total_bytes or device.room_bytes, device.room_bytes


if __name__ == "__main__":
    sys.exit(main())
