# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv is told besides its command: nothing of Blender's Python, nothing outside one folder, and of the user's own
settings those that say how packages are reached."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portrait_shared.files.whole_files import read_bounded

_NOT_PYTHONS: Final = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "__PYVENV_LAUNCHER__")
_ABOUT_INDEXES: Final = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"
)  # fmt: skip
_ABOUT_THE_NETWORK: Final = (
    "UV_KEYRING_PROVIDER", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT",
    "UV_HTTP_CONNECT_TIMEOUT", "UV_REQUEST_TIMEOUT", "UV_HTTP_RETRIES", "UV_OFFLINE", "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_CONCURRENT_DOWNLOADS", "UV_CREDENTIALS_DIR",
)  # fmt: skip
_OF_AN_INDEX: Final = re.compile(r"UV_INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD)")
_SETTINGS: Final = (
    "index", "index-url", "extra-index-url", "find-links", "index-strategy", "keyring-provider", "native-tls",
    "system-certs", "allow-insecure-host", "python-install-mirror", "http-proxy", "https-proxy", "no-proxy",
)  # fmt: skip
"""Of a `uv.toml`: how packages and Pythons are reached. All others, such as `target` or `constraint-dependencies`, are
about the user's own projects."""
_IN_PIP: Final = ("index-url", "extra-index-url", "find-links", "index-strategy", "keyring-provider")
_MAX_SETTINGS_BYTES: Final = 2**20


def environment(place: Path, given: Mapping[str, str], index: str, offline: bool) -> dict[str, str]:
    """The variables that uv and what it starts get.

    Args:
        place: the folder that all is written into.
        given: this process's own variables. Proxies, certificates and uv's variables about indexes go through.
        index: the default index; empty for what uv's variables and settings say.
        offline: whether no index is used at all, whatever those say.
    """
    kept = {
        name: value
        for name, value in given.items()
        if not name.upper().startswith(("PYTHON", "UV_")) and name.upper() not in _NOT_PYTHONS
    }
    taken = _ABOUT_THE_NETWORK if offline or index else (*_ABOUT_THE_NETWORK, *_ABOUT_INDEXES)
    kept |= {name: value for name, value in given.items() if name in taken or _OF_AN_INDEX.fullmatch(name)}
    if index and not offline:
        kept["UV_DEFAULT_INDEX"] = index
    temporary = str(place / "tmp")
    return kept | {
        "UV_CACHE_DIR": str(place / "cache"),
        "UV_PYTHON_CACHE_DIR": str(place / "cache" / "pythons"),
        "UV_PYTHON_INSTALL_DIR": str(place / "pythons"),
        "UV_PYTHON_BIN_DIR": str(place / "tools"),
        "UV_TOOL_DIR": str(place / "tools"),
        "UV_TOOL_BIN_DIR": str(place / "tools"),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_PYTHON_INSTALL_REGISTRY": "0",  # of Windows
        "UV_NO_PROGRESS": "1",
        "UV_NO_MODIFY_PATH": "1",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # in Pythons that are the user's own
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "TMPDIR": temporary,
        "TEMP": temporary,
        "TMP": temporary,
    }


def kept_settings(given: Mapping[str, str], index: str) -> str:
    """The content of a `uv.toml` that has, of the user's and the system's own, what says how packages are reached.

    A file that cannot be read or understood is passed over, as if it were not there.

    Args:
        given: this process's own variables, which say where those files lie.
        index: where it is not empty, theirs are left out.
    """
    found: dict[str, Any] = {}
    for path in settings_files(given):
        try:
            read = tomllib.loads(read_bounded(path, _MAX_SETTINGS_BYTES).decode())
        except (OSError, ValueError, RecursionError):
            continue
        inner = read.get("pip")
        inner = {name: inner[name] for name in _IN_PIP if name in inner} if isinstance(inner, dict) else {}
        for name, value in {**inner, **{name: read[name] for name in _SETTINGS if name in read}}.items():
            found.setdefault(name, value)
    if index:
        for name in ("index", "index-url", "extra-index-url", "find-links", "index-strategy"):
            found.pop(name, None)
    return "".join(f"{name} = {_toml(value)}\n" for name, value in found.items())


def settings_files(given: Mapping[str, str]) -> list[Path]:
    """Where uv would look for its settings, what counts more first."""
    if given.get("UV_NO_CONFIG", "").lower() in ("1", "true"):
        return []
    if named := given.get("UV_CONFIG_FILE"):
        return [Path(named)]
    if sys.platform == "win32":
        folders = [given.get("APPDATA"), given.get("PROGRAMDATA")]
    else:
        home = given.get("HOME")
        own = given.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
        folders = [own, *given.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep), "/etc"]
    return [Path(folder, "uv", "uv.toml") for folder in folders if folder]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(name))} = {_toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value, default=str)
