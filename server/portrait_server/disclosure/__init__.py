# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames show of having been made: the watermark in their pixels, and the visible label."""
