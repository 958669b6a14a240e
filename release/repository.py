# SPDX-License-Identifier: GPL-3.0-or-later
"""An extension repository: `index.json`, from which Blender installs and updates, and a page to drag from.

Every address in it is relative, so any web server can serve the folder from any place.
"""

from __future__ import annotations

import html
import json
import os
import shutil
import sys
import tempfile
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from release.source import BuildError, run
from release.zips import blender_builder

INDEX = "index.json"
PAGE = "index.html"
_WORDS = {
    "linux-x64": "Linux",
    "windows-x64": "Windows",
    "macos-arm64": "macOS, Apple silicon",
    "macos-x64": "macOS, Intel",
}
_PARAMETERS = ("blender_version_min", "blender_version_max", "platforms", "python_versions")
"""What Blender reads of a link that is dragged onto it, and the index tells."""


def write_repository(folder: Path, zips: Sequence[Path]) -> tuple[Path, Path]:
    """Makes a repository in `folder` of zips that lie in it, one for each system. Others may lie there, such as those of
    older releases: they are not listed.

    Returns:
        The index and the page. Raises BuildError.
    """
    index = _generated(zips)
    index["data"].sort(key=lambda entry: entry["archive_url"])  # Blender's order is the disk's
    # The page first: whoever sees a new index finds all that belongs to it.
    page = _written(folder / PAGE, _page(index["data"]))
    return _written(folder / INDEX, json.dumps(index, indent=2) + "\n"), page


def _generated(zips: Sequence[Path]) -> dict[str, Any]:
    """What Blender's own `server-generate` says of zips."""
    if not zips:
        raise BuildError("There are no zips to list.", "Build them with: python build_addon.py --repository DIR.")
    with tempfile.TemporaryDirectory(dir=zips[0].parent, prefix=".listed") as listed:
        for path in zips:
            try:
                os.link(path, Path(listed) / path.name)
            except OSError:  # a file system without links
                shutil.copy(path, listed)
        run(
            [sys.executable, str(blender_builder()), "server-generate", "--repo-dir", listed],
            "Blender's own tool refused to list the zips.",
            "Correct what it names above.",
        )
        index: dict[str, Any] = json.loads((Path(listed) / INDEX).read_text(encoding="utf-8"))
    if len(index["data"]) != len(zips):
        raise BuildError(f"Blender's own tool listed {len(index['data'])} of {len(zips)} zips.", "Build them anew.")
    return index


def drag_link(entry: dict[str, Any]) -> str:
    """The address that Blender takes when it is dragged onto its window, relative to the page's.

    Source: Blender's manual, Creating a Static Extensions Repository, Download Links.
    """
    told = {key: entry[key] for key in _PARAMETERS if entry.get(key)}
    words = {key: ",".join(value) if isinstance(value, list) else value for key, value in told.items()}
    return f"{entry['archive_url']}?{urllib.parse.urlencode({'repository': f'./{INDEX}', **words})}"


def _page(entries: list[dict[str, Any]]) -> str:
    release = entries[0]
    name, tagline = html.escape(release["name"]), html.escape(release["tagline"])
    rows = [
        f'  <li><a href="{html.escape(drag_link(entry))}">{_WORDS[entry["platforms"][0]]}</a>'
        f"  ({entry['archive_size'] / 1e6:.0f} MB)</li>"
        for entry in entries
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
body {{ font: 1.1rem/1.6 sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }}
li a {{ display: inline-block; padding: .2rem .8rem; margin: .2rem 0; border: 1px solid; border-radius: .4rem; }}
</style>
<h1>{name} {html.escape(release["version"])}</h1>
<p>{tagline}. For Blender {html.escape(release["blender_version_min"])} and newer.</p>
<p>Drag the button of your system into a Blender window, and say yes to its question about the repository: Blender
then tells of every new release.</p>
<ul>
{chr(10).join(rows)}
</ul>
<p>Or add the repository by its address: in Blender, <em>Edit → Preferences → Get Extensions → Repositories → + →
Add Remote Repository</em>, and this:</p>
<p><a id="index" href="./{INDEX}">{INDEX}</a></p>
<script>
const index = document.getElementById("index");
index.textContent = index.href;
</script>
</html>
"""


def _written(path: Path, text: str) -> Path:
    """Whole or not at all: a web server may be serving it."""
    half = path.with_name(f".{path.name}.half")
    half.write_text(text, encoding="utf-8", newline="\n")
    os.replace(half, path)
    return path
