#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Python and NumPy take of a frame that a device draws: the part that no GPU makes faster.

    .venv/bin/python tests/benchmarks/host_profile.py [--engine warp] [--side 512] [--batch 32]

The device's way of drawing runs on torch's CPU device, in the thread that asks. First each operator's result is noted
by its shape; then the same batch is drawn with operators that do nothing but give memory of that shape
(TorchDispatchMode), and each call of torch is timed (TorchFunctionMode). The thread's own processor time without the
calls, and without what timing them takes, is what Python and NumPy take. Operators are counted instead: to launch one
takes some microseconds of a GPU's thread besides. Below, the functions that take most.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


from tests.benchmarks.gpu_sections.material import Plan, device_engine, reference, track  # noqa: E402
from tests.benchmarks.gpu_sections.report import Row  # noqa: E402

AIM_MS = 1.0
SIDE, BATCH = 512, 32
_LISTED = 6
_ROUNDS = 5


class Recorded(TorchDispatchMode):
    """Notes the shape of what each operator gives.

    Attributes:
        shapes: of each operator in turn: of its tensor, or of several; None where it changes what it is given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else torch loads its compiler here, and asks it at every operator."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.is_mutable:
            self.shapes.append(None)
        elif isinstance(result, torch.Tensor):
            self.shapes.append(_shape(result))
        else:
            self.shapes.append([_shape(part) for part in result])
        return result


def _shape(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, tuple[int, ...]]:
    return tensor.dtype, tensor.shape, tensor.stride()


class Idle(TorchDispatchMode):
    """Operators that do nothing: each gives memory of the shape that was noted.

    What they would compute empties the processor's caches, as no GPU does, and makes all that follows slower.
    """

    def __init__(self, shapes: Sequence[Any]) -> None:
        super().__init__()
        self._shapes = iter(shapes)
        self._memory: dict[torch.dtype, torch.Tensor] = {}
        for shape in shapes:
            for dtype, size, stride in [shape] if isinstance(shape, tuple) else shape or []:
                reach = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True) if n)
                if dtype not in self._memory or len(self._memory[dtype]) < reach:
                    self._memory[dtype] = torch.zeros(reach, dtype=dtype)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shape = next(self._shapes)
        if shape is None:
            return kwargs["out"] if kwargs and "out" in kwargs else args[0]
        return self._of(*shape) if isinstance(shape, tuple) else [self._of(*part) for part in shape]

    def _of(self, dtype: torch.dtype, size: torch.Size, stride: tuple[int, ...]) -> torch.Tensor:
        return self._memory[dtype].as_strided(size, stride)


class Called(TorchFunctionMode):
    """Sums the processor time of all calls of torch, as Python makes them.

    Attributes:
        seconds, count: of all calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.count = 0.0, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begun = time.thread_time()
        result = func(*args, **(kwargs or {}))
        self.seconds += time.thread_time() - begun
        self.count += 1
        return result


@dataclass(frozen=True)
class Host:
    """What a batch takes of the thread that asks for it.

    Attributes:
        python_s: processor time of Python and NumPy.
        operators: how many of torch were called.
    """

    python_s: float
    operators: int


def host_of(act: Callable[[], object]) -> Host:
    """Measures a batch; the sequence of its operators must depend on nothing that they compute."""
    act()  # what is made once is made
    recorded = Recorded()
    with recorded:
        act()
    taken = [_beside_torch(act, recorded.shapes) for _ in range(_ROUNDS)]
    return Host(float(np.median(taken)), len(recorded.shapes))


def _beside_torch(act: Callable[[], object], shapes: Sequence[Any]) -> float:
    """Processor time of a batch without what calls of torch take, seconds."""
    seconds, called = _idle_seconds(act, shapes)
    return seconds - called.seconds - called.count * _cost_of_a_call()


def _idle_seconds(act: Callable[[], object], shapes: Sequence[Any]) -> tuple[float, Called]:
    called = Called()
    with Idle(shapes), called:
        begun = time.thread_time()
        act()
        return time.thread_time() - begun, called


def _cost_of_a_call(times: int = 400) -> float:
    """What timing a call takes beside what is timed, seconds: the mean of several kinds."""
    a, b = torch.ones(2, 4, 4), torch.ones(2, 4, 4)
    kinds = [
        lambda: a + b, lambda: a * 2.0, lambda: torch.where(a > b, a, b), lambda: a[:, 1:], lambda: a[..., None],
        lambda: a.clip(0, 1), lambda: torch.stack([a, b]), lambda: a.sum(1), lambda: a.to(torch.uint8),
    ]  # fmt: skip

    def act() -> None:
        for kind in kinds * times:
            kind()

    recorded = Recorded()
    with recorded:
        act()
    seconds, called = _idle_seconds(act, recorded.shapes)
    return (seconds - called.seconds) / called.count


def busiest(act: Callable[[], object], count: int) -> list[tuple[str, float]]:
    """The functions with the most processor time of their own while operators are idle, seconds."""
    recorded = Recorded()
    with recorded:
        act()
    profile = cProfile.Profile(time.thread_time)
    with Idle(recorded.shapes), Called():  # else what an operator takes would be its caller's own
        profile.runcall(act)
    found = []
    for (file, line, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():
        ours = "torch" not in file and file != __file__
        if ours and (line or "numpy" in name):  # other built-in functions are called by the modes of torch
            found.append((f"{Path(file).name}:{line} {name}" if line else name, own))
    return sorted(found, key=lambda pair: -pair[1])[:count]


def drawing(engine: str, side: int, batch: int) -> Callable[[], object]:
    """What draws a batch as a device does, in the thread that calls it."""
    painter, photo = device_engine(engine, "cpu"), reference(side)
    portrait, rows = painter.prepare([photo]), track(photo.points, batch)
    return lambda: painter.render(portrait, rows, (side, side), False)


def host_profile(plan: Plan) -> Iterator[Row]:
    """The section of `gpu.py`: the same whatever the device."""
    for engine in ("fewshot", "warp"):
        yield from measured(engine, SIDE, 4 if plan.short else BATCH)


def measured(engine: str, side: int, batch: int) -> Iterator[Row]:
    """What a frame takes of the thread, and which functions take most."""
    draw = drawing(engine, side, batch)
    host = host_of(draw)
    each = 1000 * host.python_s / batch
    note = f"of a frame of {side}², batches of {batch}; at most {AIM_MS}"
    yield Row(f"{engine}: Python and NumPy", each, "ms", note, batch == BATCH and each > AIM_MS)
    yield Row(f"{engine}: operators of torch", host.operators / batch, "a frame", f"{host.operators} a batch")
    for name, seconds in busiest(draw, _LISTED):
        yield Row(f"{engine}: {name}", 1000 * seconds / batch, "ms", "of its own")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("fewshot", "warp"), default="fewshot")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--batch", type=int, default=BATCH)
    asked = parser.parse_args()
    for row in measured(asked.engine, asked.side, asked.batch):
        print(row.as_line(), flush=True)


if __name__ == "__main__":
    main()
