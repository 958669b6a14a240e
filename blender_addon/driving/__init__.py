# SPDX-License-Identifier: GPL-3.0-or-later
"""Another rig drives a portrait: empties, bones or vertices move its points and its head, shape keys its sliders."""
