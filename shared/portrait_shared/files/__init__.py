# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written whole or not at all, read within bounds, in folders for one process alone; pictures by their names."""
