# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made of, and how it is made: wheels, the extension's zips, a repository of them, bills of material."""
