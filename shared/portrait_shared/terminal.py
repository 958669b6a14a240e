# SPDX-License-Identifier: GPL-3.0-or-later
"""Output that never stops a command: not for a path that the terminal's encoding lacks, nor for a pipe that was closed.
And a Ctrl-C that always does.

Standard library only: set-up reads it too, before anything is installed.
"""

from __future__ import annotations

import _thread
import codecs
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_HANDLER: Final = "portrait_raw_else_escaped"
_VARIABLE: Final = "PYTHONIOENCODING"
_AGAIN_SECONDS: Final = 0.05
"""Until the object is gone that was being deleted."""


class Lenient:
    """A text stream that drops what is written, and raises nothing, once nobody can read it any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lost = stream is None

    def write(self, text: str) -> int:
        if not self._lost:
            try:
                self._stream.write(text)
            except UnicodeError:
                self._say_escaped(text)
            except (OSError, ValueError):  # the reader has left, the disk of a log is full, the stream was closed
                self._lost = True
        return len(text)

    def flush(self) -> None:
        if not self._lost:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._lost = True

    def _say_escaped(self, text: str) -> None:
        """For a stream whose error handling cannot be changed: escapes what its encoding lacks."""
        encoding = getattr(self._stream, "encoding", None) or "ascii"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):
            self._lost = True

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        return not self._lost and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        if self._stream is None:
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def lost(self) -> bool:
        return self._lost


@contextmanager
def forgiving_output() -> Iterator[None]:
    """Within it, standard output and error take any text, and so do those of processes started meanwhile.

    What an encoding cannot spell is written as escapes; names that are not text at all, as their own bytes where the
    stream did so before. A stream that is missing or was closed by its reader swallows the rest.
    """
    before, variable = (sys.stdout, sys.stderr), os.environ.get(_VARIABLE)
    for stream in before:
        _mend_errors(stream)
    sys.stdout, sys.stderr = Lenient(before[0]), Lenient(before[1])
    encoding, _, _ = (variable or "").partition(":")
    os.environ[_VARIABLE] = f"{encoding}:backslashreplace"
    try:
        yield
    finally:
        written = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = before
        if variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = variable
        for stream, lenient in zip(before, written, strict=True):
            if isinstance(lenient, Lenient):
                lenient.flush()
                if lenient.lost and stream is not None:
                    _silence(stream)


def _mend_errors(stream: Any) -> None:
    errors = getattr(stream, "errors", None)
    if not hasattr(stream, "reconfigure") or errors is None:
        return
    codecs.register_error(_HANDLER, _raw_else_escaped)
    try:
        if errors == "surrogateescape":
            stream.reconfigure(errors=_HANDLER)
        elif errors not in (_HANDLER, "backslashreplace", "namereplace", "xmlcharrefreplace", "replace", "ignore"):
            stream.reconfigure(errors="backslashreplace")
    except (OSError, ValueError):
        return  # it is closed: `Lenient` finds out


def _raw_else_escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escapes = codecs.lookup_error("surrogateescape"), codecs.lookup_error("backslashreplace")
    found = b""
    for character in text:
        one = UnicodeEncodeError(error.encoding, character, 0, 1, error.reason)
        chosen, _ = escapes[0 if "\udc80" <= character <= "\udcff" else 1](one)
        found += chosen if isinstance(chosen, bytes) else chosen.encode("ascii")
    return found, error.end


def _silence(stream: Any) -> None:
    """Leads what is left in the stream's buffer nowhere: Python would end with an error at the last flush."""
    try:
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, stream.fileno())
        os.close(target)
    except (OSError, ValueError):
        return  # it has no file of the system's, or that is closed: there is nothing to flush into


@contextmanager
def every_interrupt_heard() -> Iterator[None]:
    """Raises `KeyboardInterrupt` in the main thread also for a Ctrl-C that comes while Python deletes an object: from there
    no exception gets out, and the command would go on as if nobody had pressed anything."""
    usual = sys.unraisablehook

    def again_soon(told: Any) -> None:
        if issubclass(told.exc_type, KeyboardInterrupt):
            threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main).start()
        else:
            usual(told)

    sys.unraisablehook = again_soon
    try:
        yield
    finally:
        sys.unraisablehook = usual
