# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of pictures and films: every reader and writer of them, their containers and their colours."""
