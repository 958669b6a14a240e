# SPDX-License-Identifier: GPL-3.0-or-later
"""The plane that shows the photo and the frames, its own space, and the colours that it is seen in."""
