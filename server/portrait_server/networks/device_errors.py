# SPDX-License-Identifier: GPL-3.0-or-later
"""What devices fail by, in words: torch's own errors are known by what they say, so that it need not be imported."""

from __future__ import annotations

from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError, first_line

_OR_CPU: Final = "or compute on the processor (--device cpu; in Blender, Device in the add-on's preferences)"
_OUT_OF_MEMORY: Final = (
    "CUDA error: out of memory", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED", "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY", "HIP error: out of memory",
    "HIPBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip
_LOST: Final = (
    "CUDA error", "CUDA driver error", "CUBLAS_STATUS", "cuBLAS error", "CUDNN_STATUS", "cuDNN error", "CUFFT_",
    "UR_RESULT_ERROR", "command buffer exited with error", "HIP error", "HIPBLAS_STATUS", "miopenStatus",
)  # fmt: skip
"""How torch's messages name the libraries below it. After most of such errors CUDA asks for a new process; so all lead to
one, which is cheap, and clients bound how often."""


def out_of_memory(error: BaseException) -> bool:
    """Whether a device refused memory, after which it goes on: with less at a time the same work may succeed."""
    if "OutOfMemoryError" in _kinds(error):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in _OUT_OF_MEMORY)


class DeviceLost(PortraitError):
    """A device failed so that nothing more can be computed on it in this process; in a new one perhaps."""

    def __init__(self, said: str) -> None:
        super().__init__(
            ErrorCode.DEVICE_UNAVAILABLE, f"The GPU was lost in the middle of its work ({said}).",
            "What is done stays done: go on from there. If it happens again, restart the machine, update the GPU's "
            f"driver, {_OR_CPU}.",
        )  # fmt: skip

    def to_clients(self) -> PortraitError:
        """What a server's clients are told: another server may take its place."""
        return PortraitError(ErrorCode.SERVER_LOST, self.message, self.remedy)


def device_error(error: BaseException) -> PortraitError | None:
    """In words what torch says of a device that is full or lost (`DeviceLost`); None for any other error."""
    if out_of_memory(error):
        return full(f"The GPU's memory is full ({first_line(error)}).")
    if "AcceleratorError" in _kinds(error):
        return DeviceLost(first_line(error))
    if isinstance(error, RuntimeError) and any(mark in str(error) for mark in _LOST):
        return DeviceLost(first_line(error))
    return None


def _kinds(error: BaseException) -> set[str]:
    """Names of an error's classes: torch need not be there to compare them, and older ones lack some."""
    return {kind.__name__ for kind in type(error).__mro__}


def unavailable(message: str, remedy: str) -> PortraitError:
    """The error for a device that cannot be used. Args: remedy: without a stop: the processor, too, is named as a way out."""
    return PortraitError(ErrorCode.DEVICE_UNAVAILABLE, message, f"{remedy}, {_OR_CPU}.")


def full(message: str) -> PortraitError:
    """The error for a device whose memory is full."""
    return unavailable(message, "Close other programs that use the GPU, render smaller frames")
