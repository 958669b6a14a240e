# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps MediaPipe's harmless start-up lines off the terminal; everything else it says gets through."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Its C++ log goes to file descriptor 2 before any Python can see it, and it reads no setting for it.
_HARMLESS = re.compile(
    rb"All log messages before absl::InitializeLog"
    rb"|Created TensorFlow Lite XNNPACK delegate"
    rb"|inference_feedback_manager\.cc"
    rb"|landmark_projection_calculator\.cc"
    rb"|gl_context(_egl)?\.cc"
    rb"|Sets FaceBlendshapesGraph acceleration to xnnpack"
)
_STDERR = 2
_lock = threading.Lock()


@contextmanager
def without_harmless_lines() -> Iterator[None]:
    """Holds back what native code writes to standard error inside, then passes on all but known noise."""
    with _lock, tempfile.TemporaryFile() as held:
        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            original = os.dup(_STDERR)
        except OSError:  # a program without a terminal may have closed it
            yield
            return
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(original, _STDERR)
            held.seek(0)
            for line in held:
                if not _HARMLESS.search(line):
                    os.write(original, line)
            os.close(original)
