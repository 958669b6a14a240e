# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests under simulated systems: Windows and macOS, as far as Linux can play them."""
