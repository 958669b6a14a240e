# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads drawn from a morphable model, with the exact way from reference to target."""
