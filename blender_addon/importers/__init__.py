# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances from elsewhere, as keys on the rig."""
