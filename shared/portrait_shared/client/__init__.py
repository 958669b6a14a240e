# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: a connection that outlives a lost server, renders, tunings, and how a server is started."""
