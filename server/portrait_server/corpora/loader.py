# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of samples, made ahead of time in worker processes; batch i depends on the seed and on i alone."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.corpora.array_specs import MASK, PICTURE
from portrait_server.corpora.sample import SPECS, Corpus, Sample

_Order = tuple[Corpus, int, int, int, int]  # corpus, seed, batch size, references, side

_AHEAD = 2
_PATIENCE_SECONDS = 1.0
_ENDLESS = sys.maxsize
# One core a worker: libraries that start threads of their own would fight over the cores.
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def make_batch(corpus: Corpus, seed: int, index: int, size: int, references: int, side: int) -> dict[str, torch.Tensor]:
    """Batch `index` of the endless row that `seed` stands for.

    Returns:
        every array of `Sample`, by name, with B before its other axes: pictures uint8, channels first, masks among
        them with one channel, points and flow float32. Where a sample lacks one it is blank (`ArraySpec`), and the flag
        (B,) bool that goes with it, as `has_flow`, is false. Of one reference, `first_flow` and `first_visibility` are
        `flow` and `visibility`. `identity` is (B,) int64.
    """
    samples = [corpus.sample(np.random.default_rng((seed, index, row)), references, side) for row in range(size)]
    return _collate(samples)


class Loader:
    """Iterates over batches `start`, `start + 1`, … for ever. Close it, or use it as a context manager.

    Memory is bounded: each worker is ahead by at most `_AHEAD` batches that nobody has asked for yet.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        seed: int,
        batch_size: int,
        references: int,
        side: int,
        workers: int,
        start: int = 0,
        pin_memory: bool = False,
    ) -> None:
        """
        Args:
            workers: processes; 0 makes each batch in this one when it is asked for.
            pin_memory: put batches where a GPU can fetch them by itself.
        """
        self._order = corpus, seed, batch_size, references, side
        self._start = self._next = start
        self._pin_memory = pin_memory
        self._workers = []
        # Forked processes would inherit locks of torch's and OpenGL's threads.
        context = torch.multiprocessing.get_context("spawn")
        with _one_thread_each():
            for worker in range(workers):
                finished = context.Queue(_AHEAD)
                process = context.Process(
                    target=_work, args=(self._order, range(start + worker, _ENDLESS, workers), finished), daemon=True
                )
                process.start()
                self._workers.append((process, finished))

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        return self

    def __next__(self) -> dict[str, torch.Tensor]:
        """The next batch; see `make_batch`.

        Raises:
            PortraitError: what the corpus raised, or INTERNAL where a worker process died.
        """
        batch = self._received() if self._workers else _batch_or_refusal(self._order, self._next)
        if isinstance(batch, _Refusal):
            raise PortraitError(batch.code, batch.message, batch.remedy)
        self._next += 1
        return {name: value.pin_memory() for name, value in batch.items()} if self._pin_memory else batch

    def _received(self) -> dict[str, torch.Tensor] | _Refusal:
        process, finished = self._workers[(self._next - self._start) % len(self._workers)]
        while True:
            # Asked for before the wait: what a process made before it ended is still in the queue.
            alive = process.is_alive()
            try:
                return finished.get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                if not alive:
                    raise self._died(process.exitcode) from None
            except (OSError, EOFError) as error:  # it ended before its batch was fetched
                raise self._died(process.exitcode) from error

    def _died(self, status: int | None) -> PortraitError:
        return PortraitError(
            ErrorCode.INTERNAL,
            f"A process that makes training samples ended with status {status}, at batch {self._next}.",
            "Where memory ran out, use fewer workers or smaller batches.",
        )

    def close(self) -> None:
        """Ends the worker processes at once: nothing that they hold is worth waiting for."""
        for process, _ in self._workers:
            process.kill()
        for process, finished in self._workers:
            process.join()
            finished.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Refusal:
    """A PortraitError on its way from a worker."""

    code: ErrorCode
    message: str
    remedy: str


def _batch_or_refusal(order: _Order, index: int) -> dict[str, torch.Tensor] | _Refusal:
    corpus, seed, size, references, side = order
    try:
        return make_batch(corpus, seed, index, size, references, side)
    except PortraitError as error:
        return _Refusal(error.code, error.message, error.remedy)


def _work(order: _Order, indices: range, finished: multiprocessing.Queue[dict[str, torch.Tensor] | _Refusal]) -> None:
    # Ctrl+C reaches every process of the terminal; the one that trains says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    for index in indices:
        batch = _batch_or_refusal(order, index)
        while True:
            try:
                finished.put(batch, timeout=_PATIENCE_SECONDS)
                break
            except queue.Full:
                if parent is not None and not parent.is_alive():
                    return


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile read these variables before anything else."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _collate(samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    count, side = samples[0].references.shape[:2]
    if count == 1:
        samples = [replace(sample, first_flow=sample.flow, first_visibility=sample.visibility) for sample in samples]
    batch = {"identity": torch.tensor([sample.identity for sample in samples])}
    for name, spec in SPECS.items():
        values = [getattr(sample, name) for sample in samples]
        if spec.known:
            batch[spec.known] = torch.tensor([value is not None for value in values])
        stacked = np.stack([spec.missing(count, side) if value is None else value for value in values])
        if spec.kind is PICTURE:
            stacked = np.ascontiguousarray(np.moveaxis(stacked, -1, -3))
        tensor = torch.from_numpy(stacked)
        batch[name] = tensor.unsqueeze(-3) if spec.kind is MASK else tensor
    return batch
