# SPDX-License-Identifier: GPL-3.0-or-later
"""From pictures to faces: landmarks, which face is meant, tracks through videos, mattes."""
