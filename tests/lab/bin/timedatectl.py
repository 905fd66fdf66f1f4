# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for C(timedatectl show [-p NAME] [--value]); its first argument says whether the clock is synchronized."""

from __future__ import annotations

import argparse
import sys


def main(synchronized: str, arguments: list[str]) -> int:
    """Print the properties asked for, and give the exit code."""
    parser = argparse.ArgumentParser(prog="timedatectl", allow_abbrev=False)
    parser.add_argument("verb", choices=["show"])
    parser.add_argument("-p", "--property", action="append", default=[])
    parser.add_argument("--value", action="store_true")
    options = parser.parse_args(arguments)
    properties = {"Timezone": "Etc/UTC", "LocalRTC": "no", "CanNTP": "yes", "NTPSynchronized": synchronized}
    for name, text in properties.items():
        if not options.property or name in options.property:
            print(text if options.value else f"{name}={text}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
