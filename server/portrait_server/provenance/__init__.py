# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials: keys, signed statements of files and of sequences, and how both and watermarks are verified."""
