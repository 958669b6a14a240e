# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that talks to Ray: `python -m portrait_server.farm.ray_driver`, started by `on_ray`.

Ray ends its driver on the spot, without an exception, where the cluster's head or this machine's node is lost. In a
process of its own that is something to be told, and mended by the next one.

It reads one line of JSON, what to draw, and writes lines of JSON, what becomes of it. It ends where its input does.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError, first_line
from portrait_shared.files.private_folders import PrivateFolder

from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.ray_crew import RayCrew
from portrait_server.farm.ray_placement import Wish
from portrait_server.farm.ray_worker import told
from portrait_server.networks.device import usable_cores

LOCAL: Final = "local"
_STORE_BYTES: Final = 256 << 20
_SHORT_FOLDER: Final = Path("/tmp")
"""For sockets of a cluster of our own: their paths are limited to 107 bytes, and Ray's names take most of them."""


def main() -> int:
    events = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # Ray prints
    lock = threading.Lock()

    def say(**event: Any) -> None:
        with lock:
            print(json.dumps(event), file=events, flush=True)

    order = json.loads(sys.stdin.readline())
    cancelled = threading.Event()
    threading.Thread(target=_wait_for_end, args=(cancelled,), daemon=True).start()
    try:
        job = FarmJob.load(Path(order["job"]))
        with _cluster(order["address"]) as ray:
            say(connected=True)
            RayCrew(
                ray, Wish(**order["wish"]), job, Path(order["output"]), tuple(order["frames"]), order["again"],
                lambda *frame: say(stored=frame), lambda text: say(note=text),
            ).run(cancelled.is_set)  # fmt: skip
            say(done=True)
    except PortraitError as error:
        say(error=told(error))
    return 0


def _wait_for_end(cancelled: threading.Event) -> None:
    sys.stdin.read()
    cancelled.set()


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster, or with one of its own on this machine, which ends with it.

    Raises:
        PortraitError: SERVER_UNAVAILABLE.
        SystemExit: it was reached, and lost.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL:
        # Not the user's own, which Ray would make in the home folder.
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)
    elif _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    quiet: dict[str, Any] = {"include_dashboard": None, "log_to_driver": False, "logging_level": "ERROR"}
    connected = False
    try:
        if address != LOCAL:
            ray.init(address=address, **quiet)
            connected = True
            yield ray
        else:
            with PrivateFolder(_SHORT_FOLDER if _SHORT_FOLDER.is_dir() else None) as folder:
                quiet |= {"include_dashboard": False, "_temp_dir": str(folder)}
                # Named, lest it be the cluster that RAY_ADDRESS names, or that runs here already.
                ray.init(LOCAL, num_cpus=usable_cores(), object_store_memory=_STORE_BYTES, **quiet)
                connected = True
                try:
                    yield ray
                finally:
                    ray.shutdown()  # before its folder goes
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        if connected:  # it was lost: `on_ray` connects again, and tells these words
            raise SystemExit(f"{type(error).__name__}: {first_line(error)}") from error
        raise PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, f"Ray cannot be used at {address!r}: {first_line(error)}.",
            "Check the address, that the head runs (`ray status`), and that Ray and Python are of the same versions there; "
            "where the cluster asks for a token, set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.",
        ) from error  # fmt: skip
    finally:
        ray.shutdown()


def _has_token() -> bool:
    """Whether this user has a token for Ray's clusters: those of today ask for one unless told otherwise."""
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return named or (Path.home() / ".ray" / "auth_token").is_file()


if __name__ == "__main__":
    sys.exit(main())
