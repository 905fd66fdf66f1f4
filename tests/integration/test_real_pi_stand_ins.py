# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's systemctl is held to the real one: what it says to those who may not, and of units that are not there."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

from realpi.pi import scenario

from ansible_collections.voiceops.livekit.plugins.module_utils.systemd import PROPERTIES
from lab import pi_host

UNIT = "proto-trainer-next"
COMMANDS = (
    f"show nope --property={','.join(PROPERTIES)}",
    f"show {UNIT} --property=LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus",
    f"is-active {UNIT} nope",
    "is-active nope",
    "cat nope",
    "start",
    "--no-ask-password start nope",
    f"--no-ask-password restart {UNIT}",
    f"--no-ask-password reset-failed {UNIT}",
    "--no-ask-password reset-failed nope",
)


def of(done: str) -> tuple[list[str], str]:
    """The lines of an answer, in any order, and the exit code."""
    *lines, code = done.splitlines()
    return sorted(lines), code


def test_the_stand_in_says_what_a_real_systemctl_says(boot, tmp_path):
    pi = boot()
    units = tmp_path / "units.json"
    units.write_text(json.dumps(pi_host.units(scenario(), tmp_path)), encoding="utf-8")
    program = shlex.join([sys.executable, str(pi_host.BIN / "systemctl.py"), str(units)])

    differ = {}
    for command in COMMANDS:
        real = of(pi.run(f"systemctl {command} 2>&1; echo $?", user="guest"))
        shell = ["sh", "-c", f"{program} {command} 2>&1; echo $?"]
        ours = of(subprocess.run(shell, capture_output=True, text=True, timeout=30, check=True).stdout)
        if ours != real:
            differ[command] = {"real": real, "ours": ours}

    assert differ == {}
