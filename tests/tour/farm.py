# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Job pressed in the panel; the folder is then rendered without Blender, by Open Job Description and in odd pieces,
to the panel's own bytes: what farm.md tells. Begins with a new file."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import sidebar
from acting import render
from desktop import FOLDER, PLAN, Steps, becomes, box_of, extension, fact, place, portrait, report, shot, until, window
from first_frames import viewport_and_sidebar
from four_clicks import choose_file
from new_scenes import acting_portrait, idle

_FRAMES = range(1, 13)
_ODD = ("2-4", "1,9", "5-8,10-12")
_LIMIT_SECONDS = 300


def steps() -> Steps:
    yield from acting_portrait("farm")
    window().scene.frame_start, window().scene.frame_end = _FRAMES[0], _FRAMES[-1]
    portrait().use_scene_range, portrait().resolution_percentage, portrait().matte = True, 75, True
    job = FOLDER / "farm" / "anna_job"
    yield from sidebar.click("portrait.export_job")
    yield from until(lambda: any(area.type == "FILE_BROWSER" for area in window().screen.areas), 10, "the file browser")
    yield 1.5
    yield from shot("export_job", [box_of(place("FILE_BROWSER").area)])
    yield from choose_file(str(job))
    yield from until(lambda: extension("jobs.job_queue").last_of(portrait().uid).label == "Export Job", 10, "its begin")
    exported = extension("jobs.job_queue").last_of(portrait().uid)
    yield from idle()
    fact("Export Job ends well", exported.error is None, exported.error or exported.note)
    yield from becomes("the job's folder is there", (job / "job.json").is_file)
    yield from sidebar.scroll(to_end=False)
    yield from shot("job_exported", viewport_and_sidebar())
    yield from render()
    panel = _hash(portrait().folder())
    program = Path(os.path.realpath(PLAN["server"]))
    yield from _command("openjd", program.with_name("openjd"), "run", job / "template.yaml", "-p", f"Portrait={program}",
                        "-p", "ChunkSize=5")  # fmt: skip
    for frames in _ODD:
        pieces = FOLDER / "farm" / "pieces"
        yield from _command("portrait", program, "job", "render", job, "--frames", frames, "--output", pieces)
    yield from _command("verify", program, "job", "verify", job)
    hashes = {"panel": panel, "openjd run": _hash(job / "frames"), "portrait job render": _hash(pieces)}
    report["figures"]["farm_hashes"] = hashes
    fact("the panel, openjd run and odd pieces: one hash for all", len(set(hashes.values())) == 1, hashes)


def _hash(folder: Path) -> str:
    """Over names and bytes of all frames in a folder."""
    files = sorted(folder.glob("[0-9]*.png"))
    fact(f"all frames are in {folder.name}", [int(file.stem) for file in files] == list(_FRAMES), len(files))
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()


def _command(name: str, *words: object) -> Steps:
    """Runs a command to its end, while Blender goes on."""
    with (FOLDER / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([*map(str, words)], stdout=log, stderr=log)
    yield from until(lambda: process.poll() is not None, _LIMIT_SECONDS, name)
    said = (FOLDER / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    fact(f"{name} ends with status 0", process.returncode == 0, "" if process.returncode == 0 else said[-2000:])
