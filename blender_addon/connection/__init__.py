# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as Blender reaches it: what the preferences say, its program, its process, and a thread that asks it."""
