# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user presses and sees: operators, panels and menus."""
