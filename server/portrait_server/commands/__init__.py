# SPDX-License-Identifier: GPL-3.0-or-later
"""The subcommands of `portrait`, one a module, each with `add_arguments` and `run`, and what they share."""
