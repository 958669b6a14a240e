# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference server and the `portrait` command. Never imports bpy."""
