# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot as a portrait's source: what the .blend keeps of it, its points, and the rig that rides on them."""
