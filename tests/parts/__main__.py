# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make every real part that this machine can have, and say what is left out."""

from __future__ import annotations

import os
import sys

from parts import LeftOutError
from parts.agent import AGENT
from parts.controllers import NEWEST, OLDEST
from parts.debian import PI
from parts.go import LK, SERVER

PARTS = (OLDEST, NEWEST, PI, AGENT, SERVER, LK)


def main() -> int:
    """Return how many parts count as failures: under CI=true, each that was left out."""
    left_out = 0
    for part in PARTS:
        if not part.folder.is_dir() and not part.lacks():
            print(f"making {part.name} (once; kept in {part.folder.parent})", flush=True)
        try:
            part.made()
        except LeftOutError as problem:
            left_out += 1
            print(f"left out: {problem}", file=sys.stderr)
    return left_out if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
