# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands bring a unit up, by the state that a small stand-in for systemctl gives it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.unit_change import change

SYSTEMCTL = """#!/bin/sh
[ "$1" = show ] || exec echo "$@" >>{calls}
printf '%s\\n' LoadState=loaded ActiveState={active} SubState={sub} Result=success NRestarts=0
"""


@pytest.fixture
def unit(program: Callable[[str, str], Path], tmp_path: Path) -> Callable[[str, str], Path]:
    """Make this host's units be in a state; give the file that lists what systemctl is told to do."""

    def install(active: str, sub: str) -> Path:
        calls = tmp_path / "calls"
        program("systemctl", SYSTEMCTL.format(active=active, sub=sub, calls=calls))
        program("sudo", '#!/bin/sh\nshift\nexec "$@"\n')
        return calls

    return install


@pytest.mark.parametrize(
    ("active", "sub", "state", "commands"),
    [
        ("inactive", "dead", "started", "Would start db: sudo -n systemctl start db."),
        ("active", "running", "started", "db is up already (running)."),
        # Debian's postgresql.service, whose clusters may all be down.
        ("active", "exited", "started", "Would restart db: sudo -n systemctl restart db."),
        (
            "active",
            "exited",
            "reset",
            "Would reset and restart db: sudo -n systemctl reset-failed db && sudo -n systemctl restart db.",
        ),
        ("active", "running", "restarted", "Would restart db: sudo -n systemctl restart db."),
    ],
)
def test_what_has_run_and_ended_is_not_up(
    unit: Callable[[str, str], Path], active: str, sub: str, state: str, commands: str
) -> None:
    unit(active, sub)
    assert change("db", state, time.monotonic() + 10, dry=True)["summary"] == commands


def test_a_unit_that_ends_and_counts_as_active_is_done_once_it_was_restarted(unit: Callable[[str, str], Path]) -> None:
    calls = unit("active", "exited")
    done = change("postgresql", "started", time.monotonic() + 20)
    assert (done["changed"], done["summary"]) == (True, "postgresql is active (exited) now.")
    assert calls.read_text(encoding="utf-8") == "restart postgresql\n"
