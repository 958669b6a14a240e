# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of performances from other programs: ARKit recordings with their timecodes, and landmark tracks."""
