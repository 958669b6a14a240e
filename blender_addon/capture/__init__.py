# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes from videos, speech and sounds, and how any take becomes keys on a portrait's rig."""
