# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves Blender for other programs, and comes back: movies of rendered frames, edits as OpenTimelineIO."""
