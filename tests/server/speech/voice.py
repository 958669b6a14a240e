# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic speech for tests: eSpeak NG as `espeakng-loader` ships it."""

from __future__ import annotations

import ctypes
import wave
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_SYNCHRONOUS = 2
_UTF8 = 1


@cache
def _library() -> tuple[Any, int]:
    loader = pytest.importorskip("espeakng_loader", reason="no voice: espeakng-loader is not installed")
    library = ctypes.CDLL(str(loader.get_library_path()))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(loader.get_data_path()).encode(), 0)
    library.espeak_SetVoiceByName(b"en-us")
    return library, rate


def speak(path: Path, text: str, silence_seconds: float = 0.3) -> Path:
    """Writes a .wav of the text, with silence before and after."""
    library, rate = _library()
    blocks: list[np.ndarray] = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    @kind
    def take(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(take)
    words = text.encode()
    library.espeak_Synth(words, len(words) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    still = np.zeros(round(rate * silence_seconds), np.int16)
    write_wav(path, np.concatenate((still, *blocks, still)), rate)
    return path


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, np.int16).tobytes())
