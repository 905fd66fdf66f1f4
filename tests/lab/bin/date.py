# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pi's date(1) where its clock is wrong: C(date [+FORMAT]), with C(%N) for the nanoseconds as GNU's has it."""

from __future__ import annotations

import sys
import time


def main(arguments: list[str]) -> int:
    """Print the Pi's time."""
    form = next((each[1:] for each in arguments if each.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    now = time.time_ns()
    print(time.strftime(form.replace("%N", f"{now % 10**9:09d}"), time.gmtime(now // 10**9)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
