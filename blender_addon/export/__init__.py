# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves Blender for other programs, and comes back: movies of rendered frames, farm jobs, edits as OpenTimelineIO; and what made files."""
