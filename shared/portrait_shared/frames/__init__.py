# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on disk: their names and numbers, how they are written, what each says of itself."""
