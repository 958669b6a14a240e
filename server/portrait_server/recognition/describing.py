# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces described on several cores. dlib computes on one alone and holds Python's lock meanwhile, so there are processes:
each reads chips from its standard input and writes what describes them to its standard output."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from queue import SimpleQueue
from typing import BinaryIO, Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.networks.device import usable_cores
from portrait_server.recognition.descriptor import CHIP_SIDE, NUMBERS, Descriptor

_CHIP_BYTES: Final = CHIP_SIDE * CHIP_SIDE * 3
_BATCH: Final = 8
_WORTH_A_PROCESS: Final = 24  # chips: what it takes to start one describes about five
_MOST_PROCESSES: Final = 16
_NICENESS: Final = 10


def described(chips: Iterable[np.ndarray | None], count: int) -> Iterator[np.ndarray | None]:
    """What describes each of `count` chips (150, 150, 3) uint8: (128,) float32, in their order, as they come; None for None.

    Raises:
        PortraitError: BAD_WEIGHTS; INTERNAL where a process was ended.
    """
    processes = min(usable_cores(), _MOST_PROCESSES, count // _WORTH_A_PROCESS)
    if processes < 2:
        descriptor = Descriptor()
        yield from (None if chip is None else descriptor.describe(chip) for chip in chips)
        return
    with ExitStack() as stack:
        free: SimpleQueue[_Describing] = SimpleQueue()
        for _ in range(processes):
            free.put(stack.enter_context(_Describing()))

        def describe(batch: list[np.ndarray | None]) -> list[np.ndarray | None]:
            process = free.get()
            try:
                found = iter(process.describe([chip for chip in batch if chip is not None]))
                return [None if chip is None else next(found) for chip in batch]
            finally:
                free.put(process)

        pool = stack.enter_context(ThreadPoolExecutor(processes, "describing"))
        source = iter(chips)
        waiting = []
        while batch := list(islice(source, _BATCH)):
            waiting.append(pool.submit(describe, batch))
            if len(waiting) > 2 * processes:
                yield from waiting.pop(0).result()
        for done in waiting:
            yield from done.result()


class _Describing:
    """A process that describes chips, as a context manager."""

    def __enter__(self) -> _Describing:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def describe(self, chips: list[np.ndarray]) -> np.ndarray:
        """(N, 128) float32 of chips (150, 150, 3) uint8."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(b"".join(chip.tobytes() for chip in chips))
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._ended()
        told = self._process.stdout.read(len(chips) * NUMBERS * 4)
        if len(told) < len(chips) * NUMBERS * 4:
            return self._ended()
        return np.frombuffer(told, np.float32).reshape(len(chips), NUMBERS)

    def _ended(self) -> np.ndarray:
        raise PortraitError(
            ErrorCode.INTERNAL, "A process that looks at faces was ended.",
            "Its memory may not have sufficed: run it again; what was found stays.",
        )  # fmt: skip


def _serve(chips: BinaryIO, told: BinaryIO) -> None:
    """What such a process does, until its input ends."""
    descriptor = Descriptor()
    while len(chip := chips.read(_CHIP_BYTES)) == _CHIP_BYTES:
        told.write(descriptor.describe(np.frombuffer(chip, np.uint8).reshape(CHIP_SIDE, CHIP_SIDE, 3)).tobytes())
        told.flush()


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    _serve(sys.stdin.buffer, sys.stdout.buffer)
