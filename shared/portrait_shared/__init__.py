# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Blender extension and the server must agree on. Needs numpy, msgpack and pyzmq alone."""

__version__ = "0.1.0"
