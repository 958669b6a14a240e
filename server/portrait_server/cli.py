# SPDX-License-Identifier: GPL-3.0-or-later
def main() -> int:
    return 0
