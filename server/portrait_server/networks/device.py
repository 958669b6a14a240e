# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device computes, and why one cannot. torch, which takes seconds to import, is asked only where there may be one."""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final

from portrait_shared.devices import GPUS, device_names, kind_of, missing_driver, torch_name
from portrait_shared.errors import PortraitError, first_line

from portrait_server.networks.device_errors import device_error, full, unavailable
from portrait_server.networks.processor import machine_memory, processor_kind, processor_model

log = logging.getLogger(__name__)

_LEAST_FREE_BYTES: Final = 512 * 2**20
"""About what the networks and one small frame take, by estimate; with less a device counts as full."""
FRAME_BYTES: Final = 400
"""Of each pixel of a frame while a device draws it; on torch's CPU, whose look-ups take less, 125 were seen."""
_INSTALLATION: Final = "pytorch.org/get-started/locally has the command"
_DRIVERS: Final = {
    "cuda": "Install the driver of the NVIDIA GPU (nvidia.com/drivers)",
    "rocm": "Install AMD's driver for ROCm (rocm.docs.amd.com), and let your user use /dev/kfd (group render)",
    "xpu": "Install the driver of the Intel GPU with Level Zero (dgpu-docs.intel.com)",
    "mps": "Choose another device",
}


@dataclass(frozen=True)
class Device:
    """A device that can compute.

    Attributes:
        name: as `--device` takes it: ``cpu``, ``cuda``, ``rocm``, ``xpu`` or ``mps``; of several GPUs ``cuda:1``.
        model: what its maker calls it.
        total_bytes: of its memory; None where that is not known, as `free_bytes`.
    """

    name: str
    model: str
    total_bytes: int | None = None
    free_bytes: int | None = None

    @property
    def kind(self) -> str:
        """What decides the bytes of a frame that it draws: ``cpu x86-64 AVX512``, ``cuda NVIDIA H200``; frames of two kinds
        are within 1 of 255. Of the processor see `processor_kind`."""
        return f"{kind_of(self.name)} {processor_kind() if self.name == 'cpu' else self.model}"

    @property
    def room_bytes(self) -> int:
        """What may be taken of its memory: what is free, or the half where it does not tell."""
        return (self.total_bytes or 0) // 2 if self.free_bytes is None else self.free_bytes

    def __str__(self) -> str:
        total, free = (None if size is None else f"{size / 2**30:.1f}" for size in (self.total_bytes, self.free_bytes))
        memory = "" if total is None else f", {total} GiB" if free is None else f", {free} of {total} GiB free"
        return f"{self.model}{memory}"


def choose_device(wish: str) -> Device:
    """The device that is asked for, or for ``auto`` the first GPU that can be used, or the processor; of several the
    first.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE, as `look_at` and `device_names`.
    """
    name = device_names(wish)[0]
    if name != "auto":
        return look_at(name.replace(":all", ":0"))
    for name in GPUS:
        if missing_driver(name):
            continue
        try:
            return look_at(name)
        except PortraitError as error:
            log.warning("The device %s is left out: %s", name, error)
    return look_at("cpu")


def resolve_device(wish: str) -> str:
    """The name of the device that `choose_device` takes; `torch_device` makes torch's of it. Raises as that does."""
    return choose_device(wish).name


def further_devices(wish: str) -> tuple[str, ...]:
    """The names of the devices that are asked for besides the first. Whether they can be used, `look_at` tells.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE, as `device_names`.
    """
    names = device_names(wish)
    return all_of_kind(kind_of(wish))[1:] if names[0].endswith(":all") else names[1:]


def all_of_kind(kind: str) -> tuple[str, ...]:
    """The names of all GPUs of a kind that torch sees, such as ``cuda:0`` and ``cuda:1``; ``mps`` has but one."""
    if kind not in ("cuda", "rocm", "xpu") or missing_driver(kind):
        return (kind,)
    import torch

    count = getattr(torch, torch_name(kind)).device_count()
    return tuple(f"{kind}:{number}" for number in range(max(1, count)))


def torch_device(name: str) -> Any:
    """The `torch.device` of a device's name."""
    import torch

    return torch.device(torch_name(name))


def look_at(name: str) -> Device:
    """One device.

    Args:
        name: ``cpu``, ``cuda``, ``rocm``, ``xpu`` or ``mps``, or one of several GPUs, ``cuda:1``.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where it is absent, its driver or torch cannot use it, or its memory is full;
            with the remedy.
    """
    if name == "cpu":
        return Device("cpu", processor_model(), *machine_memory())
    if missing := missing_driver(name):
        raise unavailable(missing, _DRIVERS[kind_of(name)])
    import torch

    try:
        device = _seen(torch, name)
    except RuntimeError as error:  # the driver's own refusal
        raise device_error(error) or unavailable(f"The device {name} cannot be used ({first_line(error)}).",
                                                  "Update its driver") from error  # fmt: skip
    if device.free_bytes is not None and device.free_bytes < _LEAST_FREE_BYTES:
        raise full(f"The memory of the {device.model} is full: {device}.")
    return device


def usable_cores() -> int:
    """How many cores this process may use: those it is bound to (by `taskset`, a container, a cluster's scheduler), or
    fewer where OMP_NUM_THREADS says so."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        cores = os.cpu_count() or 1
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wish)) if wish.isdecimal() and int(wish) > 0 else cores


def drawing_bytes(size: tuple[int, int]) -> int:
    """What must be free of a GPU's memory to draw frames of (width, height) pixels one at a time, by estimate: with more free
    it draws more at once."""
    return _LEAST_FREE_BYTES + FRAME_BYTES * size[0] * size[1]


def free_memory(name: str) -> int | None:
    """Free bytes of a device that `look_at` knows, now; None where nobody tells."""
    if name == "cpu":
        return machine_memory()[1]
    import torch

    try:
        return _seen(torch, name).free_bytes
    except (PortraitError, RuntimeError):  # it was lost; whoever draws on it is told
        return None


def _cuda(torch: ModuleType, number: int) -> Device:
    if torch.version.cuda is None:
        if getattr(torch.version, "hip", None):
            raise unavailable(
                f"The installed PyTorch {torch.__version__} is the one for AMD GPUs.", "Choose the device rocm"
            )
        raise unavailable(
            f"The installed PyTorch {torch.__version__} was built without CUDA.",
            f"Install its build for CUDA ({_INSTALLATION})",
        )
    if not torch.cuda.is_available():
        raise _no_cuda_gpu(torch)
    _check_number("cuda", number, torch.cuda.device_count())
    model, capability = torch.cuda.get_device_name(number), torch.cuda.get_device_capability(number)
    known = list(_capabilities(torch.cuda.get_arch_list()))
    if known and not any(runs(capability) for _, runs in known):
        version = ".".join(map(str, capability))
        what = f"The installed PyTorch {torch.__version__} has no code for the {model} (compute capability {version})."
        if capability < min(number for number, _ in known):
            raise unavailable(
                what, "Install PyTorch's build for CUDA 12.6, which knows GPUs from 5.0 on "
                "(pip install torch --index-url https://download.pytorch.org/whl/cu126)",
            )  # fmt: skip
        raise unavailable(what, f"Install a newer PyTorch or its build for a newer CUDA ({_INSTALLATION})")
    free, total = torch.cuda.mem_get_info(number)
    return Device("cuda", model, total, free)


def _rocm(torch: ModuleType, number: int) -> Device:
    if not getattr(torch.version, "hip", None):
        raise unavailable(
            f"The installed PyTorch {torch.__version__} was built without support for AMD GPUs.",
            f"Install its build for ROCm ({_INSTALLATION})",
        )
    if not torch.cuda.is_available():
        hidden = [name for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES") if name in os.environ]
        raise unavailable(
            "There is AMD's driver, but no GPU that PyTorch can use"
            + (f" while {hidden[0]} is {os.environ[hidden[0]]!r}." if hidden else "."),
            "Take that variable away" if hidden else "Put your user into the groups render and video, and see that "
            "`rocminfo` lists the GPU",
        )  # fmt: skip
    _check_number("rocm", number, torch.cuda.device_count())
    free, total = torch.cuda.mem_get_info(number)
    return Device("rocm", torch.cuda.get_device_name(number), total, free)


def _seen(torch: ModuleType, name: str) -> Device:
    """A GPU as torch sees it now. Raises: PortraitError; RuntimeError, the driver's own refusal."""
    kind, _, number = name.partition(":")
    return replace(_LOOKS[kind](torch, int(number or 0)), name=name)


def _check_number(kind: str, number: int, count: int) -> None:
    """Raises: PortraitError: DEVICE_UNAVAILABLE where the machine has fewer GPUs of the kind."""
    if number >= count:
        raise unavailable(
            f"There is no GPU {kind}:{number}: of {count} the last is {kind}:{count - 1}.", "Choose one that is there"
        )


def _no_cuda_gpu(torch: ModuleType) -> PortraitError:
    try:
        torch.cuda.init()
        said = "it gives no reason"
    except RuntimeError as error:
        said = first_line(error)
    if "too old" in said:
        return unavailable(
            f"The NVIDIA driver is too old for the installed PyTorch, which needs CUDA {torch.version.cuda}.",
            f"Update the driver (nvidia.com/drivers), install PyTorch's build for an older CUDA ({_INSTALLATION})",
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return unavailable(
            f"No NVIDIA GPU can be used while CUDA_VISIBLE_DEVICES is {hidden!r} ({said}).",
            "Set that variable to the number of one that is there, or take it away",
        )
    return unavailable(
        f"There is an NVIDIA driver, but no GPU that can be used ({said}).",
        "Restart the machine or update the driver until `nvidia-smi` lists the GPU",
    )


def _capabilities(archs: Iterable[str]) -> Iterator[tuple[tuple[int, int], Callable[[tuple[int, int]], bool]]]:
    """Which compute capabilities each of torch's architectures (``sm_86``, ``sm_90a``, ``compute_90``) was made for, and
    whether a GPU of another can run it: code for later ones of the same generation, PTX for all later ones."""
    for arch in archs:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", arch)
        if found is None:
            continue
        number = int(found[2]), int(found[3])
        if found[4] == "a":
            yield number, number.__eq__
        elif found[1] == "sm":
            yield number, lambda gpu, number=number: gpu[0] == number[0] and gpu >= number  # type: ignore[misc]
        else:
            yield number, number.__le__


def _xpu(torch: ModuleType, number: int) -> Device:
    if not torch.xpu._is_compiled():
        raise unavailable(
            f"The installed PyTorch {torch.__version__} was built without support for Intel GPUs.",
            "Install its build for them (pip install torch --index-url https://download.pytorch.org/whl/xpu)",
        )
    if not torch.xpu.is_available():
        raise unavailable(
            "There is Intel's Level Zero, but no GPU that PyTorch can use.",
            "Update the driver until `sycl-ls` lists the GPU",
        )
    _check_number("xpu", number, torch.xpu.device_count())
    properties: Any = torch.xpu.get_device_properties(number)
    try:
        free, total = torch.xpu.mem_get_info(number)
    except RuntimeError:  # some drivers do not tell what is free
        free, total = None, properties.total_memory
    return Device("xpu", properties.name, total, free)


def _mps(torch: ModuleType, _: int) -> Device:
    if not torch.backends.mps.is_built():
        raise unavailable(
            f"The installed PyTorch {torch.__version__} was built without support for Apple's GPUs.",
            f"Install its build for macOS on arm64 ({_INSTALLATION})",
        )
    if not torch.backends.mps.is_available():
        raise unavailable(
            f"macOS {platform.mac_ver()[0]} is too old for PyTorch to use Apple's GPU.",
            "Update it to macOS 14 or newer",
        )
    total = torch.mps.recommended_max_memory()
    return Device("mps", "Apple silicon", total, total - torch.mps.driver_allocated_memory())


_LOOKS: Final[dict[str, Callable[[ModuleType, int], Device]]] = {
    "cuda": _cuda, "rocm": _rocm, "xpu": _xpu, "mps": _mps
}  # fmt: skip
