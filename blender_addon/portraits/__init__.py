# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait in a scene: what the .blend keeps of it, its photo and its parts, copies, and which one is meant."""
