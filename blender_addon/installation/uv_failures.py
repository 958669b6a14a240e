# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv says when it fails, as one sentence and what mends it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.log_lines import without_secrets

PYTORCH: Final = "download.pytorch.org"
_REACH: Final = (
    "Check the network; behind a proxy set HTTPS_PROXY before Blender starts, or name your company's package index in the "
    "preferences, or use Install from Folder. What was downloaded is kept."
)
_AGAIN: Final = "Install again: what was downloaded is kept."


@dataclass(frozen=True)
class _Rule:
    """A failure that is known by its words.

    Attributes:
        words: what uv says; a group named `what` goes into the sentence.
        passing: whether trying again soon may help.
    """

    words: re.Pattern[str]
    code: ErrorCode
    sentence: str
    remedy: str
    passing: bool = False


def _rule(words: str, code: ErrorCode, sentence: str, remedy: str, passing: bool = False) -> _Rule:
    return _Rule(re.compile(words, re.IGNORECASE | re.DOTALL), code, sentence, remedy, passing)


# Systems speak their own language; their numbers do not.
_NUMBERS: Final = (
    {"full": "112|39|1295", "protected": "19", "in_use": "32|33", "refused": "5"}
    if sys.platform == "win32"
    else {"full": "28|69|122", "protected": "30", "in_use": "26", "refused": "1|13"}
)

# From what is certain to what may be meant.
_RULES: Final = (
    _rule(
        rf"os error ({_NUMBERS['full']})\b|no space left on device|not enough space on the disk|disk quota exceeded",
        ErrorCode.DISK_FULL, "The disk is full: the server could not be installed.",
        "Free some room and install again: what was downloaded is kept, what worked before still does.",
    ),
    _rule(
        rf"os error ({_NUMBERS['protected']})\b|read-only file system",
        ErrorCode.OUTPUT_NOT_WRITABLE, "The disk of the server's folder cannot be written to.",
        "Have it mounted for writing, then install again.",
    ),
    _rule(
        rf"os error ({_NUMBERS['in_use']})\b|used by another process",
        ErrorCode.BUSY, "A file of the server is in use by another program.",
        "Stop the server and other Blenders, wait for the virus scanner, then install again.",
    ),
    _rule(
        rf"os error ({_NUMBERS['refused']})\b|permission denied|access is denied",
        ErrorCode.OUTPUT_NOT_WRITABLE, "The server's folder, or a program in it, was refused by the system.",
        "Give yourself the right to write and run programs there; a virus scanner may be what refuses. Then install again.",
    ),
    _rule(
        r"hash mismatch for `(?P<what>[^`]+)`",
        ErrorCode.NOT_ALLOWED, "The package {what} is not what the index says: its hash is another.",
        "It was damaged or changed on its way, and was not installed. Install again; if it comes back, tell who keeps the "
        "package index.",
    ),
    _rule(
        r"407 Proxy Authentication|proxy authentication required|unsuccessful tunnel",
        ErrorCode.SERVER_UNAVAILABLE, "The proxy refuses the connection, or wants a name and a password.",
        "Put them into HTTPS_PROXY (http://name:password@proxy:port) before Blender starts, then install again.",
    ),
    _rule(
        r"401 Unauthorized|403 Forbidden|authentication credentials",
        ErrorCode.NOT_ALLOWED, "The package index refuses to answer without the right name and password.",
        "Put them into its address (https://name:password@host/simple), or into uv's own settings, then install again.",
    ),
    _rule(
        r"invalid peer certificate|certificate (verify|unknown)|UnknownIssuer|self.signed",
        ErrorCode.NOT_ALLOWED, "The package index shows a certificate that nobody known has signed.",
        "Where your company looks into connections, set UV_SYSTEM_CERTS=true, or SSL_CERT_FILE to its certificate, before "
        "Blender starts; check this machine's clock; then install again.",
    ),
    _rule(
        r"network was disabled|network connectivity is disabled",
        ErrorCode.FILE_MISSING, "Something is missing, and no network may be used.",
        "Permit online access in Blender and unset UV_OFFLINE, or use Install from Folder with a whole folder.",
    ),
    _rule(
        r"invalid value '[^\n]*' for '(?P<what>--[\w-]+)",
        ErrorCode.BAD_CONFIGURATION, "A setting of uv's is not one that it understands ({what}).",
        "Look at the variables that begin with UV_, and at uv's own settings; then install again.",
    ),
    _rule(
        r"there are no versions of (?P<what>[\w.-]+) and|(missing|unsupported) `?content-type|error \(511",
        ErrorCode.SERVER_UNAVAILABLE, "The package index answers, but not with packages: perhaps with a login page.",
        "Open any web page in a browser and sign in to the network there, or check the index's address; then install again.",
    ),
    _rule(
        r"dns error|failed to lookup|client error \(Connect\)|error sending request|connection (reset|closed|refused)|"
        r"timed? ?out|error decoding response body|request or response body|unexpected (eof|end of file)|"
        r"retries in|server error \(5|stream error|incomplete message",
        ErrorCode.SERVER_UNAVAILABLE, "The package index cannot be reached, or the connection broke.", _REACH, passing=True,
    ),
    _rule(
        r"status client error \(429",
        ErrorCode.SERVER_UNAVAILABLE, "The package index has been asked too often.", "Wait a little, then install again.",
        passing=True,
    ),
    _rule(
        r"status client error \((?P<what>\d+[^)]*)\)",
        ErrorCode.FILE_MISSING, "The package index does not give a file that it names ({what}).",
        "Check the index's address, or tell who keeps it; then install again.",
    ),
    _rule(
        r"structure of `(?P<what>[^`]+)`[^\n]* was invalid|failed to (read from|extract)[^\n]*(zip|archive)|invalid zip",
        ErrorCode.NOT_ALLOWED, "A package came damaged.",
        f"{_AGAIN} From a folder: copy the folder anew.", passing=True,
    ),
    _rule(
        r"has no wheels with a matching (platform|Python)|no matching (platform|Python)|not compatible with (the )?"
        r"(current platform|Python)|requires-python|current Python version",
        ErrorCode.NOT_ALLOWED, "A package that the server needs is not made for this system or this Python.",
        "Choose another Python (3.11 has most) or another backend; on another system the server may be run by hand.",
    ),
    _rule(
        r"because (only )?(?P<what>[\w.-]+)[^\n]{0,200}? was not found in (the package registry|the provided package)",
        ErrorCode.FILE_MISSING, "The package {what} is not in the index or the folder.",
        "Check the index's address, or make the folder anew with `portrait bundle` on a machine like this one.",
    ),
    _rule(
        r"failed to read `--find-links`", ErrorCode.FILE_MISSING, "The folder of wheels cannot be read.",
        "Choose the folder again.",
    ),
    _rule(
        r"failed to build `(?P<what>[^`]+)`",
        ErrorCode.NOT_ALLOWED, "The package {what} has no ready part for this system, and could not be built.",
        "Choose another Python (3.11 has most), then install again; the log says more.",
    ),
    _rule(
        r"no solution found", ErrorCode.FILE_MISSING, "The packages at hand do not fit together.",
        "Check the index's address or make the folder anew; the log says which packages they are.",
    ),
)  # fmt: skip

DOWNLOADING_PYTHON: Final = "Downloading Python"
"""As `failure` is told what was done."""
_OF_THE_NETWORK: Final = (ErrorCode.SERVER_UNAVAILABLE, ErrorCode.FILE_MISSING, ErrorCode.NOT_ALLOWED)


def failure(lines: Sequence[str], doing: str) -> PortraitError:
    """What a failed run of uv comes to; what was said is in the log.

    Args:
        lines: all that uv said.
        doing: what it was to do, such as "Installing the packages", or `DOWNLOADING_PYTHON`.
    """
    said = "\n".join(lines)
    rule = _matching(said)
    if doing == DOWNLOADING_PYTHON and (rule is None or rule.code in _OF_THE_NETWORK):
        return PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, "There is no Python on this machine that fits, and none could be downloaded.",
            "Install Python 3.11 from python.org; or set UV_PYTHON_INSTALL_MIRROR to a mirror of python-build-standalone, "
            "which else comes from GitHub, before Blender starts. Then install again.",
        )  # fmt: skip
    if rule is None:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        last = without_secrets(last).rstrip(".")
        return PortraitError(
            ErrorCode.INTERNAL, f"{doing} failed: {last}.", "Install again; if it comes back, report it with the log."
        )
    found = rule.words.search(said)
    what = (found.groupdict().get("what") if found else None) or "one"
    return PortraitError(rule.code, rule.sentence.format(what=what), rule.remedy)


def may_pass(lines: Sequence[str]) -> bool:
    """Whether trying again soon may help."""
    rule = _matching("\n".join(lines))
    return rule is not None and rule.passing


def about_pytorch(lines: Sequence[str]) -> bool:
    """Whether it was PyTorch's own index that failed, and another may have PyTorch, too."""
    said = "\n".join(lines)
    if PYTORCH in said or "pytorch.org" in said:
        return True
    return re.search(r"\btorch(vision)?\b[^\n]*(not found|no versions? of)|no versions? of torch", said) is not None


def _matching(said: str) -> _Rule | None:
    return next((rule for rule in _RULES if rule.words.search(said)), None)
