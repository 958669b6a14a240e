# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a frame shows the person of its references."""
