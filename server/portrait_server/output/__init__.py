# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames become: PNG files, contact sheets, films."""
