# SPDX-License-Identifier: GPL-3.0-or-later
"""What every room needs of Blender: its versions, modes, time, names and paths, and errors with what mends them."""
