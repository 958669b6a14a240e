#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tour through the real Blender desktop program, from an empty scene to a playing portrait, with pictures.

    python tests/tour/run.py --output DIR [--blender PATH] [--pictures docs/pictures]

Runs in the project's environment. Needs a Blender with a window and, on Linux, Xvfb (or a DISPLAY of yours), xdotool,
and ImageMagick's `import`. Builds the extension, installs it in a Blender with settings of its own, and does what an
animator does, with the real server: every step asserts what it should have led to, and the status is 0 only if all
did. DIR then holds a picture of each step, `report.json` with the figures, the .blend and the log.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
BLENDER_VARIABLE = "TALKING_PORTRAITS_BLENDER"
SCREEN = (1600, 1000)
LIMIT_SECONDS = 2000

sys.path[:0] = [str(PROJECT), str(HERE)]


def find_blender(asked: str | None = None) -> str | None:
    """The Blender program: the one asked for, of the environment, or on the PATH."""
    return shutil.which(asked or os.environ.get(BLENDER_VARIABLE) or "blender")


def missing(blender: str | None) -> list[str]:
    """What the tour lacks on this machine, in words; empty where it can run."""
    lacks = []
    if blender is None:
        lacks.append(f"no Blender program on the PATH or in {BLENDER_VARIABLE}")
    if shutil.which("Xvfb") is None and not os.environ.get("DISPLAY"):
        lacks.append("no screen: neither Xvfb nor a DISPLAY")
    lacks += [f"no {program} on the PATH" for program in ("xdotool", "import") if shutil.which(program) is None]
    return lacks


def build_extension(folder: Path) -> Path:
    """Builds the zip from the source as it is now."""
    words = ["--output", str(folder), "--platform", "linux-x64"]
    subprocess.run([sys.executable, str(PROJECT / "build_addon.py"), *words], check=True, timeout=600)
    return max(folder.glob("talking_portraits-*.zip"), key=lambda path: path.stat().st_mtime)


def server_program(folder: Path) -> Path:
    """The server's program under a short path, for the pictures."""
    link = folder / "portrait"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(sys.executable).with_name("portrait"))
    return link


class Screen:
    """A virtual screen where Xvfb is there, else the one of DISPLAY."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.display = os.environ.get("DISPLAY", "")

    def __enter__(self) -> Screen:
        if shutil.which("Xvfb") is not None:
            reading, writing = os.pipe()
            size = f"{SCREEN[0]}x{SCREEN[1]}x24"
            self.process = subprocess.Popen(
                ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"],
                pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.close(writing)
            with os.fdopen(reading) as pipe:
                self.display = f":{pipe.readline().strip()}"
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


def run_blender(blender: str, folder: Path, plan: dict[str, object], display: str, limit: float) -> int:
    """Takes the tour; its status is 0 where every step held."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "run").mkdir(parents=True, mode=0o700)
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    environment = {
        **os.environ, "DISPLAY": display, "HOME": str(home), "BLENDER_USER_RESOURCES": str(home / "blender"),
        "XDG_RUNTIME_DIR": str(home / "run"), "LIBGL_ALWAYS_SOFTWARE": "1",
    }  # fmt: skip
    if plan["ocio"]:
        environment["OCIO"] = str(plan["ocio"])
    for name in ("TALKING_PORTRAITS_SERVER", "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    command = [
        blender, "--gpu-backend", "opengl", "-noaudio", "--window-geometry", "0", "0", *map(str, SCREEN),
        "--python", str(HERE / "inside.py"), "--", str(folder / "plan.json"),
    ]  # fmt: skip
    with (folder / "blender.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            print(f"tour: not done after {limit:.0f} s", file=sys.stderr)
            return 124
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for pictures, report and .blend")
    parser.add_argument("--blender", help=f"the Blender program (default: {BLENDER_VARIABLE}, else on the PATH)")
    parser.add_argument("--extension", type=Path, help="install this zip and build none")
    parser.add_argument("--movie", type=Path, help="capture from this video, not from one that is made here")
    parser.add_argument("--pictures", type=Path, help="also write the documentation's pictures into this folder")
    parser.add_argument("--only", nargs="+", help="take these chapters alone, for work on the tour itself")
    parser.add_argument(
        "--ocio", help="a studio's colour configuration for Blender, as OCIO names it: a file, or ocio://…"
    )
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds until it is ended")
    asked = parser.parse_args()
    blender = find_blender(asked.blender)
    lacks = missing(blender)
    lacks += [f"no file {path}" for path in (asked.extension, asked.movie) if path is not None and not path.is_file()]
    if lacks:
        sys.exit(f"tour: {'; '.join(lacks)}.")
    import engine_time
    import performer
    import pictures

    folder = asked.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.png"), folder / "report.json"]:
        old.unlink(missing_ok=True)
    photo = performer.photo(folder)
    movie = asked.movie or performer.movie(photo, folder)
    plates = performer.plates(movie, folder)
    plan = {
        "folder": str(folder),
        "photo": str(photo),
        "extension": str((asked.extension or build_extension(folder)).resolve()),
        "movie": str(movie.resolve()),
        "own_movie": asked.movie is None,
        "reader": str(performer.reader(photo, folder)),
        "server": str(server_program(folder)),
        "animal": str(performer.animal(folder)),
        "talking": str(plates.talking),
        "voice": str(performer.voice(folder)),
        "said": performer.SAID,
        "pictures": str(plates.pictures),
        "light": str(plates.light),
        "backdrop": str(performer.backdrop(folder)),
        "two": str(performer.two_people(folder)),
        "python": sys.executable,
        "project": str(PROJECT),
        "screen": SCREEN,
        "only": asked.only,
        "ocio": asked.ocio,
    }
    started = time.monotonic()
    with Screen() as screen:
        status = run_blender(blender, folder, plan, screen.display, asked.limit)
    log = (folder / "blender.log").read_text(encoding="utf-8", errors="replace")
    print("\n".join(line for line in log.splitlines() if line.startswith("tour:")))
    if status != 0:
        print("\n".join(log.splitlines()[-40:]))
        print(f"tour: FAILED with status {status}; see {folder}")
        return 1
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if "latency" in report["figures"]:
        engine_time.add_to(report, folder, photo)
        (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        for line in engine_time.lines(report):
            print(f"tour: {line}")
    if asked.pictures:
        pictures.write(report, folder, asked.pictures, whole=asked.only is None)
    print(f"tour: done in {time.monotonic() - started:.0f} s; pictures and report are in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
