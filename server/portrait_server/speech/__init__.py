# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound to timed mouth shapes, offline."""
