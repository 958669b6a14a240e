# SPDX-License-Identifier: GPL-3.0-or-later
"""The job type by which Flamenco 3, Blender's own render farm, renders farm jobs (flamenco.blender.org/usage/job-types)."""

from __future__ import annotations

from pathlib import Path


def job_type() -> str:
    """The text of ``flamenco.js``, the same for every job: which one is meant is a setting when it is submitted."""
    return Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
