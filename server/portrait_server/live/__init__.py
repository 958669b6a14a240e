# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes and goes as it happens: cameras and controllers in, virtual cameras and NDI out."""
