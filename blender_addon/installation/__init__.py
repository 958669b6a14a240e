# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as the extension installs it: uv, an environment in the user's own folder, and what is there."""
