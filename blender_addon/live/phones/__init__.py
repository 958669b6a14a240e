# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones that send a face over the network: the formats of their apps, their clocks, and who is heard. No bpy."""
