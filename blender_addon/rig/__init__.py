# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark rig: its armature, handles, sliders, drivers, shapes and poses, its keys, and sampling it to a LandmarkTrack."""
