# SPDX-License-Identifier: GPL-3.0-or-later
"""Meta-learning of the generator, and its tuning to one person."""
