# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of samples, made ahead of time in worker processes; batch i depends on the seed and on i alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from torch.utils.data import DataLoader, Dataset

from portrait_server.corpora.sample import Corpus, Sample

# One core a worker: libraries that start threads of their own would fight over the cores.
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")}


def make_batch(corpus: Corpus, seed: int, index: int, size: int, references: int, side: int) -> dict[str, torch.Tensor]:
    """Batch `index` of the endless row that `seed` stands for.

    Returns:
        pictures uint8, channels first:
        references (B, K, 3, S, S), reference_points (B, K, 70, 3) float32, target (B, 3, S, S),
        target_points (B, 70, 3) float32, identity (B,) int64,
        matte (B, 1, S, S) and reference_mattes (B, K, 1, S, S), 0 where has_matte (B,) bool is false,
        flow (B, S, S, 2) float32, all NaN, and visibility (B, 1, S, S), all 0, where has_flow (B,) bool is false,
        color_weight (B, 1, S, S).
    """
    samples = [corpus.sample(np.random.default_rng((seed, index, row)), references, side) for row in range(size)]
    return _collate(samples)


class Loader:
    """Iterates over batches `start`, `start + 1`, … for ever. Close it, or use it as a context manager.

    Memory is bounded: each worker holds at most two batches that nobody has asked for yet.
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
        """Args: workers: processes; 0 makes each batch in this one when it is asked for."""
        self._batches = _Batches(corpus, seed, batch_size, references, side)
        self._next = start
        with _one_thread_each():
            # Forked processes would inherit locks of torch's and OpenGL's threads.
            self._rows: Iterator[dict[str, torch.Tensor] | _Refusal] = iter(
                DataLoader(
                    self._batches,
                    batch_size=None,
                    sampler=_From(start),
                    num_workers=workers,
                    prefetch_factor=2 if workers else None,
                    multiprocessing_context="spawn" if workers else None,
                    worker_init_fn=_set_up_worker if workers else None,
                    pin_memory=pin_memory,
                )
            )

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        return self

    def __next__(self) -> dict[str, torch.Tensor]:
        """The next batch; see `make_batch`.

        Raises:
            PortraitError: what the corpus raised, or INTERNAL where a worker process died.
        """
        try:
            batch = next(self._rows)
        except RuntimeError as error:
            raise PortraitError(
                ErrorCode.INTERNAL,
                f"A process that makes training samples failed at batch {self._next}: {error}",
                "Where memory ran out, use fewer workers or smaller batches.",
            ) from error
        if isinstance(batch, _Refusal):
            raise PortraitError(batch.code, batch.message, batch.remedy)
        self._next += 1
        return batch

    def close(self) -> None:
        """Ends the worker processes."""
        stop = getattr(self._rows, "_shutdown_workers", None)
        if stop is not None:
            stop()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Refusal:
    """A PortraitError on its way from a worker: raised there it would arrive as text, without code and remedy."""

    code: ErrorCode
    message: str
    remedy: str


class _Batches(Dataset[dict[str, torch.Tensor] | _Refusal]):
    def __init__(self, corpus: Corpus, seed: int, size: int, references: int, side: int) -> None:
        self._arguments = corpus, seed, size, references, side

    def __getitem__(self, index: int) -> dict[str, torch.Tensor] | _Refusal:
        corpus, seed, size, references, side = self._arguments
        try:
            return make_batch(corpus, seed, index, size, references, side)
        except PortraitError as error:
            return _Refusal(error.code, error.message, error.remedy)


class _From:
    """The whole numbers from `start`."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        number = self._start
        while True:
            yield number
            number += 1


def _set_up_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


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
    blank = np.zeros((side, side), np.uint8)
    blanks = np.zeros((count, side, side), np.uint8)
    nowhere = np.full((side, side, 2), np.nan, np.float32)
    full = np.full((side, side), 255, np.uint8)
    has_matte = [sample.matte is not None and sample.reference_mattes is not None for sample in samples]
    has_flow = [sample.flow is not None and sample.visibility is not None for sample in samples]
    planes = {
        "matte": [_or(sample.matte, blank, known) for sample, known in zip(samples, has_matte, strict=True)],
        "reference_mattes": [
            _or(sample.reference_mattes, blanks, known) for sample, known in zip(samples, has_matte, strict=True)
        ],
        "visibility": [_or(sample.visibility, blank, known) for sample, known in zip(samples, has_flow, strict=True)],
        "color_weight": [full if sample.color_weight is None else sample.color_weight for sample in samples],
    }
    return {
        "references": _channels_first([sample.references for sample in samples]),
        "reference_points": torch.from_numpy(np.stack([sample.reference_points for sample in samples])),
        "target": _channels_first([sample.target for sample in samples]),
        "target_points": torch.from_numpy(np.stack([sample.target_points for sample in samples])),
        "identity": torch.tensor([sample.identity for sample in samples]),
        "has_matte": torch.tensor(has_matte),
        "has_flow": torch.tensor(has_flow),
        "flow": torch.from_numpy(
            np.stack([_or(sample.flow, nowhere, known) for sample, known in zip(samples, has_flow, strict=True)])
        ),
        **{name: torch.from_numpy(np.stack(values)).unsqueeze(-3) for name, values in planes.items()},
    }


def _or(value: np.ndarray | None, otherwise: np.ndarray, known: bool) -> np.ndarray:
    return value if known and value is not None else otherwise


def _channels_first(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    """(…, H, W, 3) pictures to (B, …, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.stack(pictures), -1, -3)))
