# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing on a device may not wait for it: what would copy or ask is an error, but for `put`, `placed` and `fetch`.

On torch's CPU device nothing is copied, but the same calls are made as on any other, and those are watched. On its meta
device, whose tensors have shapes and no numbers, nothing can be asked, and what is elsewhere is found where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from portrait_server.kernels.on_device import OnDevice
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_CROSSINGS = {
    torch.Tensor.cpu, torch.Tensor.cuda, torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.item,
    torch.Tensor.__array__, torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__,
    torch.Tensor.__index__, torch.Tensor.pin_memory, torch.tensor, torch.as_tensor, torch.asarray,
}  # fmt: skip
# What asks how much there is, and so waits.
_ASKING = {
    torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.masked_select.default,
    torch.ops.aten._unique2.default, torch.ops.aten.unique_consecutive.default, torch.ops.aten.bincount.default,
    torch.ops.aten.equal.default, torch.ops.aten.is_nonzero.default, torch.ops.aten.lift_fresh.default,
}  # fmt: skip
_INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}


class Transfer(AssertionError):
    """A copy between processor and device, or a question to the device."""


class _Calls(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in _CROSSINGS:
            raise Transfer(getattr(function, "__name__", str(function)))
        return function(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if operation in _ASKING or (operation is torch.ops.aten.repeat_interleave.Tensor and not kwargs):
            raise Transfer(str(operation))
        if operation in _INDEXED and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
            raise Transfer(f"{operation} by a mask")
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != self._device.type:
                raise Transfer(f"{operation} of a tensor on {tensor.device}")
        return operation(*args, **kwargs)


@contextmanager
def no_transfers(kernels: OnDevice) -> Iterator[None]:
    """In this context, `Transfer` for all that crosses to or from the device by any other way than these kernels."""
    modes: list[Any] = []

    def allowed(method: Callable[..., Any]) -> Callable[..., Any]:
        def crossing(*args: Any) -> Any:
            while modes:
                modes.pop().__exit__(None, None, None)
            try:
                return method(*args)
            finally:
                watch()

        return crossing

    def watch() -> None:
        for mode in (_Operations(kernels.device), _Calls()):
            mode.__enter__()
            modes.append(mode)

    def refused(array: np.ndarray) -> torch.Tensor:
        raise Transfer("from_numpy")

    with pytest.MonkeyPatch.context() as patch:
        # torch.from_numpy is the one way in that the modes are not told of.
        original = torch.from_numpy
        patch.setattr(torch, "from_numpy", lambda array: (refused if modes else original)(array))
        for name in ("put", "placed", "fetch"):
            patch.setattr(kernels, name, allowed(getattr(kernels, name)))
        watch()
        try:
            yield
        finally:
            while modes:
                modes.pop().__exit__(None, None, None)
