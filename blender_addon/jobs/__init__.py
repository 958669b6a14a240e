# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in the background: what every job is, the queue, and the jobs that start the server, find faces and tune."""
