# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curves: dense values to few keys, and keys written so that all around them stays as it was."""
