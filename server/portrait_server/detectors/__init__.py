# SPDX-License-Identifier: GPL-3.0-or-later
"""From pictures to faces: landmarks, and which face is meant."""
