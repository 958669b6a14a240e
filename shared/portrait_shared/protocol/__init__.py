# SPDX-License-Identifier: GPL-3.0-or-later
"""What client and server say to each other: messages, their fields, versions, and where they meet."""
