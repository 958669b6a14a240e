# SPDX-License-Identifier: GPL-3.0-or-later
"""How well an engine reproduces real clips: what is measured, on which frames, and the report."""
