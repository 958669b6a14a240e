# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device is taken, and what is said of one that cannot be: on machines that a stand-in for torch makes up."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from portrait_server.cli import main
from portrait_server.networks import device
from portrait_server.networks.device import all_of_kind, choose_device, further_devices, look_at, usable_cores
from portrait_server.networks.device_errors import DeviceLost, device_error, out_of_memory
from portrait_shared.devices import DEVICES, GPUS, device_names, kind_of, missing_driver, parse_device, torch_name
from portrait_shared.errors import ErrorCode, PortraitError

GIB = 2**30
ARCHS = ("sm_75", "sm_80", "sm_86", "sm_90a", "compute_90")


def refuses(said: str) -> Callable[[], None]:
    def refuse(*_: int) -> None:
        raise RuntimeError(said)

    return refuse


def cuda(
    *, built: str | None = "12.8", said: str | None = None, capability: tuple[int, int] = (8, 9),
    archs: tuple[str, ...] = ARCHS, free: int = 6 * GIB, count: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """What torch knows of an NVIDIA GPU; `said` is its reason where it can use none."""
    return {
        "version": SimpleNamespace(cuda=built),
        "cuda": SimpleNamespace(
            is_available=lambda: said is None and built is not None, init=refuses(said or ""),
            device_count=lambda: count,
            get_device_name=lambda number: f"NVIDIA {'TUV'[number]}", get_device_capability=lambda _: capability,
            get_arch_list=lambda: list(archs), mem_get_info=lambda number: (free - number * GIB, 8 * GIB),
        ),
    }  # fmt: skip


def rocm(*, built: str | None = "6.4", there: bool = True, free: int = 6 * GIB, count: int = 1) -> dict[str, Any]:
    """What torch's build for ROCm knows of AMD's GPUs, which it calls cuda."""
    return {
        "version": SimpleNamespace(cuda=None, hip=built),
        "cuda": SimpleNamespace(
            is_available=lambda: there, device_count=lambda: count, mem_get_info=lambda number: (free, 16 * GIB),
            get_device_name=lambda number: f"AMD Radeon {'TUV'[number]}",
        ),
    }  # fmt: skip


def xpu(*, built: bool = True, there: bool = True) -> dict[str, Any]:
    return {
        "xpu": SimpleNamespace(
            _is_compiled=lambda: built, is_available=lambda: there, mem_get_info=lambda _: (3 * GIB, 4 * GIB),
            device_count=lambda: 1, get_device_properties=lambda _: SimpleNamespace(name="Intel Arc", total_memory=4 * GIB),
        )
    }  # fmt: skip


def mps(*, built: bool = True, there: bool = True) -> dict[str, Any]:
    return {
        "backends": SimpleNamespace(
            mps=SimpleNamespace(is_built=lambda: built, is_available=lambda: there)
        ),
        "mps": SimpleNamespace(recommended_max_memory=lambda: 12 * GIB, driver_allocated_memory=lambda: 2 * GIB),
    }  # fmt: skip


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this a machine with drivers for the devices given, of which torch knows so much."""

    def make(*known: dict[str, Any]) -> None:
        made = SimpleNamespace(__version__="2.9.0", **{name: part for each in known for name, part in each.items()})
        monkeypatch.setitem(sys.modules, "torch", made)
        parts = (("cuda", "cuda"), ("xpu", "xpu"), ("mps", "backends"))
        drivers = [name for name, part in parts if hasattr(made, part)]
        if hasattr(made, "version") and hasattr(made.version, "hip"):
            drivers[0] = "rocm"
        monkeypatch.setattr(
            device, "missing_driver", lambda name: "" if kind_of(name) in drivers else f"No driver of {name}."
        )

    return make


def test_auto_takes_the_first_gpu_that_can_be_used(machine: Callable, caplog: pytest.LogCaptureFixture) -> None:
    machine(cuda(), xpu(), mps())
    assert str(choose_device("auto")) == "NVIDIA T, 6.0 of 8.0 GiB free" and choose_device("auto").name == "cuda"
    assert not caplog.records
    machine(cuda(free=0), xpu(), mps())
    assert choose_device("auto").name == "xpu"
    assert "cuda is left out: The memory of the NVIDIA T is full" in caplog.text
    machine(xpu(there=False), mps())
    assert choose_device("auto").name == "mps"
    machine(mps(there=False))
    assert choose_device("auto").name == "cpu"
    machine()
    assert choose_device("auto").name == "cpu"


@pytest.mark.parametrize(
    ("known", "name", "message", "remedy"),
    [
        (cuda(built=None), "cuda", "built without CUDA", "pytorch.org"),
        (cuda(said="The NVIDIA driver on your system is too old (found version 11040)."), "cuda",
         "driver is too old for the installed PyTorch, which needs CUDA 12.8", "Update the driver"),
        (cuda(said="No CUDA GPUs are available"), "cuda", "no GPU that can be used (No CUDA GPUs", "nvidia-smi"),
        (cuda(capability=(3, 7)), "cuda", "no code for the NVIDIA T (compute capability 3.7)", "CUDA 12.6"),
        (cuda(capability=(12, 0), archs=("sm_80", "sm_90")), "cuda", "no code for", "newer PyTorch"),
        (cuda(capability=(9, 1), archs=("sm_90a",)), "cuda", "no code for", "newer PyTorch"),
        (cuda(free=100 * 2**20), "cuda", "full: NVIDIA T, 0.1 of 8.0 GiB free", "Close other programs"),
        (rocm(built=None), "rocm", "without support for AMD", "build for ROCm"),
        (rocm(there=False), "rocm", "no GPU that PyTorch can use", "rocminfo"),
        (rocm(free=100 * 2**20), "rocm", "full: AMD Radeon T", "Close other programs"),
        (xpu(built=False), "xpu", "without support for Intel", "whl/xpu"),
        (xpu(there=False), "xpu", "no GPU that PyTorch can use", "sycl-ls"),
        (mps(built=False), "mps", "without support for Apple", "pytorch.org"),
        (mps(there=False), "mps", "too old", "macOS 14"),
        ({}, "cuda", "No driver of cuda", "nvidia.com/drivers"),
        ({}, "rocm", "No driver of rocm", "/dev/kfd"),
        ({}, "xpu", "No driver of xpu", "Level Zero"),
        ({}, "mps", "No driver of mps", "another device"),
    ],
)  # fmt: skip
def test_a_device_that_cannot_be_used_says_why_and_what_to_do(
    machine: Callable, known: dict[str, Any], name: str, message: str, remedy: str
) -> None:
    machine(known)
    with pytest.raises(PortraitError) as caught:
        choose_device(name)
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE
    assert message in caught.value.message
    assert remedy in caught.value.remedy and "--device cpu" in caught.value.remedy


def test_an_amd_gpu_is_taken_and_torch_knows_it_by_its_own_name(machine: Callable) -> None:
    machine(rocm(count=2))
    chosen = choose_device("auto")
    assert (chosen.name, chosen.kind) == ("rocm", "rocm AMD Radeon T")
    assert choose_device("rocm:all").name == "rocm:0" and further_devices("rocm:all") == ("rocm:1",)
    assert torch.device(torch_name("rocm:1")) == torch.device("cuda:1") and torch_name("cuda:1") == "cuda:1"
    with pytest.raises(PortraitError, match="no GPU rocm:2"):
        choose_device("rocm:2")


def test_a_build_for_amd_is_no_build_for_nvidia(machine: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(rocm())
    monkeypatch.setattr(device, "missing_driver", lambda name: "")
    with pytest.raises(PortraitError, match="the one for AMD GPUs") as caught:
        choose_device("cuda")
    assert "device rocm" in caught.value.remedy


def test_an_amd_gpu_that_a_variable_hides(machine: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "7")
    machine(rocm(there=False))
    with pytest.raises(PortraitError, match="while HIP_VISIBLE_DEVICES is '7'"):
        choose_device("rocm")


def test_a_hidden_gpu_is_told_from_a_missing_one(machine: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "9")
    machine(cuda(said="No CUDA GPUs are available"))
    with pytest.raises(PortraitError, match="while CUDA_VISIBLE_DEVICES is '9'"):
        look_at("cuda")


def test_a_gpu_whose_memory_is_taken_before_it_is_asked_is_full(machine: Callable) -> None:
    known = cuda()
    known["cuda"].mem_get_info = refuses("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`")
    machine(known)
    with pytest.raises(PortraitError, match="memory is full") as caught:
        look_at("cuda")
    assert "Close other programs" in caught.value.remedy
    known["cuda"].mem_get_info = refuses("Unexpected error from cudaGetDeviceCount()")
    with pytest.raises(PortraitError, match="cuda cannot be used") as caught:
        look_at("cuda")
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE


def test_a_gpu_that_does_not_tell_what_is_free_is_used_by_half(machine: Callable) -> None:
    known = xpu()
    known["xpu"].mem_get_info = refuses("The device doesn't support querying the available free memory.")
    machine(known)
    assert str(look_at("xpu")) == "Intel Arc, 4.0 GiB" and look_at("xpu").room_bytes == 2 * GIB
    machine(xpu())
    assert look_at("xpu").room_bytes == 3 * GIB


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0)])
def test_a_gpu_runs_code_for_an_earlier_one_of_its_kind_and_what_is_translated(
    machine: Callable, capability: tuple[int, int]
) -> None:
    machine(cuda(capability=capability))
    assert look_at("cuda").model == "NVIDIA T"


@pytest.mark.parametrize("wish", ["cuda:", "CUDA", "tpu", "", "cpu:1", "mps:0", "cuda:0,", "cuda:0;cuda:1", "cuda:-1"])
def test_a_device_that_no_machine_has(wish: str) -> None:
    with pytest.raises(PortraitError, match="There is no device") as caught:
        choose_device(wish)
    assert all(name in caught.value.remedy for name in DEVICES) and "cuda:0,cuda:1" in caught.value.remedy


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("cuda:0,xpu:0", "several kinds"), ("cpu,cuda", "several kinds"), ("auto,cuda:1", "several kinds"),
        ("cuda:0,cuda:all", "stands alone"), ("cpu,cpu", "stands alone"), ("mps,mps", "stands alone"),
        ("cuda:1,cuda:1", "twice"), ("cuda,cuda:0", "twice"),
    ],
)  # fmt: skip
def test_devices_that_do_not_go_together(wish: str, message: str) -> None:
    with pytest.raises(PortraitError, match=message) as caught:
        device_names(wish)
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and caught.value.remedy
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse_device(wish)


def test_one_of_several_gpus_is_chosen_by_its_number(machine: Callable) -> None:
    machine(cuda(count=3))
    second = choose_device("cuda:1")
    assert (second.name, second.kind, second.free_bytes) == ("cuda:1", "cuda NVIDIA U", 5 * GIB)
    assert choose_device("cuda").name == "cuda" and choose_device("cuda:2,cuda:0").name == "cuda:2"
    with pytest.raises(PortraitError, match="no GPU cuda:3: of 3 the last is cuda:2"):
        choose_device("cuda:3")


def test_several_gpus_are_the_first_and_further_ones(machine: Callable) -> None:
    machine(cuda(count=3))
    assert (
        further_devices("cuda:2,cuda:0") == ("cuda:0",) and further_devices("cuda:1") == further_devices("auto") == ()
    )
    assert choose_device("cuda:all").name == "cuda:0" and further_devices("cuda:all") == ("cuda:1", "cuda:2")
    assert all_of_kind("mps") == ("mps",)
    machine()
    assert all_of_kind("cuda") == ("cuda",)
    with pytest.raises(PortraitError, match="No driver of cuda"):
        choose_device("cuda:all")


def test_a_gpu_is_of_the_kind_that_its_maker_names(machine: Callable) -> None:
    machine(cuda())
    assert look_at("cuda").kind == "cuda NVIDIA T"


def test_processors_are_of_one_kind_whose_instructions_libraries_choose_alike() -> None:
    """In processes of their own: libraries look at the processor when they are imported."""

    def kind(**switches: str) -> str:
        program = "from portrait_server.networks.device import look_at\nprint(look_at('cpu').kind)"
        environment = {**os.environ, **switches}
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        ).stdout.strip()  # fmt: skip

    whole = kind()
    assert re.fullmatch(r"cpu \S+ \S+(, torch \S+)?", whole)
    if "x86-64" not in whole or "AVX" not in whole:
        return
    assert kind(OPENCV_CPU_DISABLE="AVX2,AVX512-SKX").split(",")[0] != whole.split(",")[0]
    assert kind(ATEN_CPU_CAPABILITY="default") == f"{whole.split(',')[0]}, torch DEFAULT"


def test_the_doctor_names_each_gpu(machine: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    machine(cuda(count=2))
    main(["doctor", "--no-server"])
    said = capsys.readouterr().out
    assert "Device cuda:0: NVIDIA T, 6.0 of 8.0 GiB free" in said and "Device cuda:1: NVIDIA U, 5.0 of" in said
    assert "Device auto: takes cuda" in said and "--device cuda:all takes all" in said
    machine(cuda())
    main(["doctor", "--no-server"])
    said = capsys.readouterr().out
    assert "Device cuda: NVIDIA T" in said and "cuda:" not in said.replace("Device cuda: ", "")


def test_the_processor_needs_no_torch() -> None:
    looks_for_nothing = all(missing_driver(name) for name in GPUS)
    program = (
        "import sys\nfrom portrait_server.networks.device import choose_device\n"
        f"print(choose_device({'auto' if looks_for_nothing else 'cpu'!r}).name, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["cpu", "False"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("HIP error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    ],
)
def test_a_full_device_is_told_from_a_lost_one(error: Exception) -> None:
    assert out_of_memory(error)
    told = device_error(error)
    assert told is not None and not isinstance(told, DeviceLost) and told.code == ErrorCode.DEVICE_UNAVAILABLE


@pytest.mark.parametrize(
    "error",
    [
        getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("HIP error: unspecified launch failure"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("Native API failed. Native API returns: 20 (UR_RESULT_ERROR_DEVICE_LOST)"),
    ],
)
def test_a_lost_device_says_in_one_line_how(error: Exception) -> None:
    told = device_error(error)
    assert isinstance(told, DeviceLost) and str(error).splitlines()[0] in told.message and "\n" not in told.message


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("CUDA error"), MemoryError(), KeyError(1)])
def test_another_error_is_none_of_the_devices(error: Exception) -> None:
    assert device_error(error) is None


@pytest.mark.parametrize(("threads", "fewer"), [("1", 1), ("1000", None), ("0", None), ("2,1", None), ("", None)])
def test_cores_are_those_of_the_process_or_fewer_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, threads: str, fewer: int | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    own = usable_cores()
    assert 1 <= own <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert usable_cores() == (fewer or own)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Windows and macOS bind no processes to cores")
def test_a_process_that_is_bound_to_a_core_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(before)])
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
