# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module of the server and of what is shared can be imported, and Python warns of nothing in it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

from portrait_server.detectors.installed_mediapipe import brings_its_networks

_SCRIPT = """
import importlib, json, pkgutil
import portrait_server, portrait_shared
lacking, imported = {}, 0
for top in (portrait_shared, portrait_server):
    for module in pkgutil.walk_packages(top.__path__, top.__name__ + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
            imported += 1
        except ModuleNotFoundError as error:
            lacking[module.name] = error.name
print(json.dumps({"imported": imported, "lacking": lacking}))
"""
_MAY_LACK = ("torch", "face_alignment", "ray", "tensorboard")
"""What environments of other Pythons go without."""


def test_every_module_imports() -> None:
    warnings = ["-W", "error", "-W", "ignore:Type google._upb:DeprecationWarning"]  # of protobuf, in Python 3.12
    done = subprocess.run([sys.executable, *warnings, "-c", _SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["imported"] > 300
    absent = {name for name in _MAY_LACK if importlib.util.find_spec(name) is None}
    if not brings_its_networks():
        absent.add("mediapipe.python")  # of the other package
    assert set(told["lacking"].values()) <= absent, told["lacking"]
