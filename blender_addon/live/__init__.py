# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances as they happen: phones, cameras and controllers move a rig, and takes of them become keys."""
