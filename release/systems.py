# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems that a zip is built for, and the Pythons that it serves there."""

from __future__ import annotations

from dataclasses import dataclass

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""Blender from blender.org has 3.11 up to 5.0 and 3.13 from 5.1; Linux distributions have theirs: Debian 3.13 and 3.14."""


@dataclass(frozen=True)
class System:
    """One of Blender's platforms.

    Attributes:
        name: as Blender writes it.
        tag: the oldest system of the kind that Blender runs on, as wheels write it.
        further_tags: what pip has to be told besides; it knows the older ones of macOS alone.
        uv: the name of the program uv there.
    """

    name: str
    tag: str
    further_tags: tuple[str, ...] = ()
    uv: str = "uv"

    @property
    def file_name(self) -> str:
        """The name in names of files, as Blender's own builder writes it."""
        return self.name.replace("-", "_")


SYSTEMS = (
    System("linux-x64", "manylinux_2_28_x86_64", ("manylinux_2_17_x86_64",)),
    System("windows-x64", "win_amd64", uv="uv.exe"),
    System("macos-arm64", "macosx_11_0_arm64"),
    System("macos-x64", "macosx_10_15_x86_64"),  # Blender up to 4.5: there is no later one for Intel processors
)
