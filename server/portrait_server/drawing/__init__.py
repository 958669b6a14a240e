# SPDX-License-Identifier: GPL-3.0-or-later
"""How the pixels of a photograph are moved: layers, eyes, mouth, the far side, the background."""
