# SPDX-License-Identifier: GPL-3.0-or-later
"""Filmed shots: their frames in any order, each drawn from itself with its face changed, and put back into its place."""
