# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview: the plane follows the rig."""
