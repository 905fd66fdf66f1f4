# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for sudo (1.9.16) that only lists, C(sudo -n -ll COMMAND); its first argument is C(pi.sudo)."""

from __future__ import annotations

import sys

RULE = """\

Sudoers entry: /etc/sudoers.d/010_pi-nopasswd
    RunAsUsers: ALL
    Options: !authenticate
    Commands:
\tALL
    Matched: /usr/bin/{command}"""


def main(kind: str, arguments: list[str]) -> int:
    """Answer as sudo would, and give its exit code."""
    if arguments[:2] != ["-n", "-ll"] or len(arguments) < 3:
        print("sudo: this stand-in only lists", file=sys.stderr)
        return 1
    if kind == "password":
        print("sudo: a password is required", file=sys.stderr)
        return 1
    print(RULE.format(command=" ".join(arguments[2:])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
