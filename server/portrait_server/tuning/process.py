# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in which the server tunes: of its own and of low priority, so that rendering keeps the machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.messages import TuningProgress

from portrait_server.networks.device_errors import device_error

log = logging.getLogger(__name__)

_NICENESS = 10


@dataclass(frozen=True)
class Failure:
    """Why there is no result; `details` are for the log."""

    code: str
    message: str
    remedy: str
    details: str = ""


def tune(pipe: Connection, images: Sequence[np.ndarray], checksum: str, device: str, folder: Path) -> None:
    """What the process does: sends `TuningProgress` that answers no request, then a `TunedPerson` or a `Failure`.

    Args:
        images: (H, W, 3 or 4) uint8, the photographs.
        checksum: of the weights that the server draws with.
        folder: for files that are needed meanwhile.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's: it ends this process
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    use_half_the_cores()
    tempfile.tempdir = str(folder)
    try:
        pipe.send(_tuned(pipe, images, checksum, device))
    except PortraitError as error:
        pipe.send(Failure(error.code.value, error.message, error.remedy))
    except MemoryError:
        pipe.send(Failure(ErrorCode.INTERNAL.value, "Tuning ran out of memory.", "Use fewer or smaller photos."))
    except Exception as error:  # whatever it was, the server must hear of it
        log.exception("Tuning failed")
        known = device_error(error) or PortraitError(
            ErrorCode.INTERNAL, f"Tuning failed ({type(error).__name__}: {error}).", "See the server's log."
        )
        pipe.send(Failure(known.code.value, known.message, known.remedy, traceback.format_exc()))
    finally:
        pipe.close()


def use_half_the_cores() -> None:
    """Leaves cores to what else runs, as Blender or the server's engines.

    Threads of torch wait for one another at every layer: on two cores that others kept busy, tiny networks tuned
    in 49 s with one thread and had not ended after 240 s with two.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in commands.train
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


def _tuned(pipe: Connection, images: Sequence[np.ndarray], checksum: str, device: str) -> TunedPerson:
    from portrait_server.detectors.registry import create_detector
    from portrait_server.engines.fewshot_weights import find_weights
    from portrait_server.networks.painters import load
    from portrait_server.tuning.photographs import faces_of
    from portrait_server.tuning.search import tune_painters

    painters, info = load(find_weights(), device)
    if info.checksum != checksum:
        raise PortraitError(
            ErrorCode.BAD_WEIGHTS, "The weights file is another one than when the server was started.",
            "Start the server again.",
        )  # fmt: skip
    server = multiprocessing.parent_process()
    started: float | None = None

    def progress(step: int, steps: int, figures: dict[str, float]) -> None:
        nonlocal started
        now = time.monotonic()
        started = now if started is None else started
        left = (now - started) / step * (steps - step) if step else None
        pipe.send(TuningProgress(0, step, steps, figures["score"], left))

    detector = create_detector("mediapipe")
    try:
        faces = faces_of(((f"photo {number}", image) for number, image in enumerate(images, 1)), detector)
        return tune_painters(
            painters, checksum, faces,
            progress=progress, cancelled=lambda: server is not None and not server.is_alive(),
        )  # fmt: skip
    finally:
        detector.close()
