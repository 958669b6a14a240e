# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames: the job that makes them, their folder, what a frame depends on, and what became of each."""
