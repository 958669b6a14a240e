# SPDX-License-Identifier: GPL-3.0-or-later
"""What touches pixels while a frame is drawn: one interface, done by OpenCV on the processor and by torch on a device."""
