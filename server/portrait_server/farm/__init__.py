# SPDX-License-Identifier: GPL-3.0-or-later
"""Farm jobs: folders that render on any machine that has the server, and the engines that spread them."""
