# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a log: for people, or an object of JSON each for whoever gathers logs. Standard library only."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

LOG_FORMATS: Final = ("text", "json")
_OF_EVERY_RECORD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_LOGIN: Final = re.compile(r"(?<=://)\S*@")
"""As far as the last @: passwords may have any mark in them."""
_TOKEN: Final = re.compile(r"(?<=[?&])([\w.~-]+)=[^&#\s`'\")>]+")


class JsonLines(logging.Formatter):
    """One JSON object a line, in ASCII: `time` (UTC, ISO 8601), `level`, `logger`, `message`, what the line's `extra`
    says (`client`, `request`, `portrait`, `frames`, `seconds` …), and `exception`, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in record.__dict__.items():
            if name not in _OF_EVERY_RECORD:
                line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_format() -> str:
    """In which of `LOG_FORMATS` this process logs."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    return LOG_FORMATS[any(isinstance(formatter, JsonLines) for formatter in formatters)]


def for_people(line: str) -> list[str]:
    """The lines that say what one of `JsonLines` does: message, traceback and remedy. Any other line as it is."""
    try:
        told = json.loads(line)
    except ValueError:
        return [line]
    if not isinstance(told, dict) or "message" not in told:
        return [line]
    parts = [told["message"], told.get("exception"), told.get("remedy")]
    return [said for part in parts if part for said in str(part).splitlines()]


def without_secrets(line: str) -> str:
    """A line of another program without the names, passwords and tokens that addresses in it have."""
    return _TOKEN.sub(r"\1=****", _LOGIN.sub("****@", line))
