# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances from videos, face recordings and speech, as keys on a portrait's rig."""
