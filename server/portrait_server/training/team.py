# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that train together, one a GPU, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

import torch
import torch.distributed as dist
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor, nn

from portrait_server.networks.device import resolve_device

_BACKENDS: Final = {"cpu": "gloo", "cuda": "nccl", "xpu": "xccl"}
"""What carries messages between processes on each device."""


def _one_of_several(kind: str, number: int) -> torch.device:
    """A GPU of this machine by its number, made the one that torch means by `kind`."""
    module = getattr(torch, kind)
    if number >= module.device_count():
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"There is no GPU {kind}:{number}: this machine shows {module.device_count()}.",
            "Start one process for each GPU: torchrun --nproc-per-node.",
        )  # fmt: skip
    device = torch.device(kind, number)
    module.set_device(device)
    return device


class Team:
    """This process's place among its peers. A run without `torchrun` is a team of one.

    The networks' gradients are averaged in one message for each optimiser's step. Two optimisers that take
    turns with each other's networks frozen are what DistributedDataParallel's hooks do not expect.

    Attributes:
        rank: 0 writes the files. size: how many there are. device: where this one computes.
    """

    def __init__(self, device: str) -> None:
        """Args: device: one of `DEVICES`. Raises: PortraitError: DEVICE_UNAVAILABLE."""
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        number = int(os.environ.get("LOCAL_RANK", "0"))
        if device != "cpu" and number and torch.cuda.is_available():
            # To look at a GPU takes some of its memory: it is to be this process's own.
            _one_of_several("cuda", number)
        self.device = torch.device(resolve_device(device))
        if self.size > 1 and self.device.type not in _BACKENDS:
            raise PortraitError(
                ErrorCode.DEVICE_UNAVAILABLE, f"{self.size} processes cannot train together on {self.device.type}.",
                "Train with one process, without torchrun.",
            )  # fmt: skip
        if self.device.type in ("cuda", "xpu"):
            self.device = _one_of_several(self.device.type, number)
        if self.size > 1:
            dist.init_process_group(_BACKENDS[self.device.type])

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its mean over the team."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        together = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(together)
        together /= self.size
        for gradient, mean in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Gives everyone the first process's values."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor.data, 0)

    def any(self, happened: bool) -> bool:
        """Whether it happened to anyone."""
        if self.size == 1:
            return happened
        flag = torch.tensor(float(happened), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def close(self) -> None:
        """Leaves the team."""
        if self.size > 1:
            dist.destroy_process_group()
