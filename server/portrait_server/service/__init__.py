# SPDX-License-Identifier: GPL-3.0-or-later
"""The running server: who is connected and may hold what, whose turn it is, and the threads that work."""
