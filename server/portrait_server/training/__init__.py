# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of painters: crops from disk, their augmentation, losses, measures, runs that stop and go on."""
