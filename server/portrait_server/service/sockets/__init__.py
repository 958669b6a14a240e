# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: who may come in, encryption, and messages whose size is known before they are read."""
