# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks placed by hand: a template over the photo, how it is moved onto a face, and what is drawn meanwhile."""
