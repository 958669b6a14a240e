# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks: embedder, generators and discriminator, and what they see of a face."""
