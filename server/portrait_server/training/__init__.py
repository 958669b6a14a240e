# SPDX-License-Identifier: GPL-3.0-or-later
"""Meta-learning of the generator."""
