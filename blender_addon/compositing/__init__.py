# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in Blender's compositor and over other strips: the node group, where it is put, the person cut out."""
