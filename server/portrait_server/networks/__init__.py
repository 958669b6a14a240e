# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks: painters of mouths and eyes, their file and a person's, and the devices that they run on."""
