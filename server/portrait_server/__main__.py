# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m portrait_server`: the `portrait` command where it is not on the path."""

from __future__ import annotations

import sys

from portrait_server.cli import main

sys.exit(main())
