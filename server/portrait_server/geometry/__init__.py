# SPDX-License-Identifier: GPL-3.0-or-later
"""The head as geometry: pose, mesh, how landmarks move it, and where each pixel then comes from."""
