# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for sudo (1.9.16) that lists, C(sudo -n -ll COMMAND), or runs, C(sudo -n COMMAND), without a prompt.

Its first argument is C(pi.sudo). What it runs knows by C(SUDO_UID), as under the real one, that it may.
"""

from __future__ import annotations

import os
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
    lists = arguments[1:2] == ["-ll"]
    if arguments[:1] != ["-n"] or len(arguments) < 2 + lists:
        print("sudo: this stand-in asks no questions: it needs -n and a command", file=sys.stderr)
        return 1
    if kind == "password":
        print("sudo: a password is required", file=sys.stderr)
        return 1
    if not lists:
        os.execvpe(arguments[1], arguments[1:], {**os.environ, "SUDO_UID": "1000"})
    print(RULE.format(command=" ".join(arguments[2:])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
