# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to draw a portrait: each prepares references, then renders frames from landmarks."""
