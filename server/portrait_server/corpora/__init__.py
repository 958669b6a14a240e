# SPDX-License-Identifier: GPL-3.0-or-later
"""Where training samples come from: shards on disk or pictures made on the fly, behind one interface."""
