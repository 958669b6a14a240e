# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait in a scene: what the .blend keeps of it, photo, parts, strips, copies, view, and which is meant."""
