# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Blender: takes the tour step by step, on a timer, and ends Blender with a status that says whether it held."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import bpy

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
sys.stdout.reconfigure(line_buffering=True)

import acting  # noqa: E402
import by_hand  # noqa: E402
import capturing  # noqa: E402
import colors  # noqa: E402
import compositing  # noqa: E402
import dubbing  # noqa: E402
import edited_shots  # noqa: E402
import editing  # noqa: E402
import farm  # noqa: E402
import filmed  # noqa: E402
import finishing  # noqa: E402
import first_frames  # noqa: E402
import four_clicks  # noqa: E402
import from_zip  # noqa: E402
import gaze  # noqa: E402
import phone  # noqa: E402
import troubles  # noqa: E402
from desktop import FOLDER, PLAN, Steps, park, report, take, window  # noqa: E402

CHAPTERS = {
    "from_zip": from_zip.steps,
    "first_frames": first_frames.steps,
    "acting": acting.steps,
    "capturing": capturing.steps,
    "finishing": finishing.steps,
    "troubles": troubles.steps,
    "by_hand": by_hand.steps,
    "phone": phone.steps,
    "filmed": filmed.steps,
    "gaze": gaze.steps,
    "dubbing": dubbing.steps,
    "compositing": compositing.steps,
    "farm": farm.steps,
    "editing": editing.steps,
    "edited_shots": edited_shots.steps,
    "colors": colors.steps,
    "four_clicks": four_clicks.steps,
}


def tour() -> Steps:
    while not window().screen.areas:
        yield 0.1
    park()
    yield 1.0
    print(f"tour: Blender {bpy.app.version_string}, Python {sys.version.split()[0]}", flush=True)
    for name, steps in CHAPTERS.items():
        if _is_wanted(name):
            started = time.monotonic()
            print(f"tour: == {name}", flush=True)
            yield from steps()
            print(f"tour: == {name}: {time.monotonic() - started:.0f} s", flush=True)


def _is_wanted(name: str) -> bool:
    asked = PLAN["only"]
    if name == "from_zip":
        return asked is not None and name in asked
    if name == "first_frames":  # it installs the extension, and names the server's program
        return asked is None or name in asked or "from_zip" not in asked
    return asked is None or name in asked


_tour = tour()


def tick() -> float | None:
    try:
        return next(_tour) or 0.0
    except StopIteration:
        (FOLDER / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        status = 0
    except BaseException:  # noqa: BLE001  (whatever went wrong is the tour's outcome)
        traceback.print_exc()
        take("failed")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    _end(status)
    return None


def _end(status: int) -> None:
    """As a user ends it, so that the extension stops its server; Blender's own way of leaving has no status."""
    import addon_utils

    addon_utils.disable("bl_ext.user_default.talking_portraits", default_set=False)
    os._exit(status)


preferences = bpy.context.preferences
preferences.view.show_splash = False
preferences.use_preferences_save = False
preferences.view.filebrowser_display_type = "SCREEN"  # a window of its own would need a window manager
bpy.app.timers.register(tick, first_interval=0.5, persistent=True)
