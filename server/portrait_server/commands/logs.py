# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands log and say why they fail: in lines for people, or in JSON for whoever gathers logs."""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import sys
import threading
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Final, cast

import platformdirs
from portrait_shared.errors import PortraitError
from portrait_shared.log_lines import LOG_FORMATS, JsonLines

log = logging.getLogger(__name__)

_LOG_BYTES: Final = 5_000_000
_KEPT_LOGS: Final = 10


def add_log_format(parser: argparse.ArgumentParser) -> None:
    """Adds `--log-format`, which every command takes; of a command within a command, behind either."""
    parser.add_argument("--log-format", choices=LOG_FORMATS, default=argparse.SUPPRESS,
                        help="lines of the log and of errors: for people (text), or an object each (json; default: text)")  # fmt: skip


def in_json(asked: argparse.Namespace) -> bool:
    """Whether a command's log is to be JSON."""
    return getattr(asked, "log_format", LOG_FORMATS[0]) == "json"


def log_in_json() -> None:
    """Lets a command log to standard error as JSON, what ends it unexpectedly included."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    _log_what_is_not_caught()


def log_to_file(path: Path | None, level: str, json_lines: bool) -> Path | None:
    """Logs to standard error and to a file; returns the file, None where it cannot be written.

    Args:
        path: one a run in the user's log folder where None, of which the newest are kept.
        level: the least that is logged, such as ``info``.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    path = path or Path(platformdirs.user_log_dir("talking_portraits", False)) / f"server-{os.getpid()}.log"
    refusal = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handlers.append(_LogFile(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace"))
        older = sorted(path.parent.glob("server-*.log*"), key=lambda file: file.stat().st_mtime)
        for file in older[:-_KEPT_LOGS]:
            file.unlink(missing_ok=True)
    except OSError as error:
        refusal = error.strerror
    for handler in handlers:
        handler.setFormatter(
            JsonLines() if json_lines else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        )
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    if json_lines:
        _log_what_is_not_caught()
    if refusal is None:
        return path
    log.warning("There is no log file at %s: %s", path, refusal)
    return None


def tell_failure(asked: argparse.Namespace, message: str, remedy: str = "", code: str = "") -> None:
    """Says on standard error why a command ends, as its log is written.

    Args:
        code: of an `ErrorCode`; of JSON lines alone, as scripts test it.
    """
    if in_json(asked):
        log.error(message, extra={"command": asked.command, "code": code, "remedy": remedy})
        return
    said = f"portrait {asked.command}: {message}"
    print(f"{said}\n  {remedy}" if remedy else said, file=sys.stderr, flush=True)


def tell_note(asked: argparse.Namespace, text: str) -> None:
    """Says on standard error what a person may want to know, as the command's log is written."""
    if in_json(asked):
        log.info(text)
    else:
        print(f"Note: {text}", file=sys.stderr, flush=True)


def tell_unsigned(asked: argparse.Namespace, error: PortraitError) -> None:
    """Says on standard error why frames, which are there, got no credentials."""
    if in_json(asked):
        log.warning("unsigned: %s", error.message, extra={"code": error.code, "remedy": error.remedy})
    else:
        print(f"Unsigned: {error.message}\n  {error.remedy}", file=sys.stderr, flush=True)


def _log_what_is_not_caught() -> None:
    """Python would print tracebacks and warnings in lines of its own."""

    def log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        log.critical("It ended by an error that nobody expected: %s", error, exc_info=(kind, error, traceback))

    def log_thread(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None:
            log_crash(ended.exc_type, ended.exc_value, ended.exc_traceback)

    sys.excepthook = log_crash
    threading.excepthook = log_thread
    logging.captureWarnings(True)


class _LogFile(logging.handlers.RotatingFileHandler):
    """Follows no link that another has laid where the log goes."""

    def _open(self) -> TextIOWrapper:
        return cast(
            TextIOWrapper,
            open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_without_following),
        )


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
