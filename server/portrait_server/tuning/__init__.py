# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning of trained networks to one person, from a few photographs; what comes of it is a personal file."""
