# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a whole scene, from a photo to rendered frames, made the way an animator would."""
