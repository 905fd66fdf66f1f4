# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a unit was up, from the few times that systemd keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import systemd

NOW = 1770436200.0


def stamp(at: float) -> str:
    """Write a time as systemctl does with TZ=UTC."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


@pytest.mark.parametrize(
    ("state", "entered", "left", "up"),
    [
        ("active", 50, None, True),
        ("active", 100, 40, True),
        ("active", 150, 40, False),
        ("active", 150, 120, False),
        ("active", 250, 150, False),
        ("active", 250, 50, False),
        ("active", 250, None, False),
        ("active", 250, 230, None),
        ("active", None, None, None),
        ("reloading", 50, None, True),
        ("inactive", 50, 250, True),
        ("inactive", 50, 150, False),
        ("inactive", 50, 60, False),
        ("inactive", 50, None, None),
        ("failed", 150, 160, False),
        ("failed", 250, 260, None),
        ("inactive", None, None, False),
        (None, 50, None, None),
    ],
)
def test_whether_a_unit_was_up(state: str | None, entered: int | None, left: int | None, up: bool | None) -> None:
    """C(entered) and C(left) are the last times that systemd keeps; the span is 100 to 200."""
    times = {"ActiveEnterTimestamp": entered, "ActiveExitTimestamp": left}
    properties = {name: "" if at is None else stamp(NOW + at) for name, at in times.items()}
    if state is not None:
        properties["ActiveState"] = state
    assert systemd.was_up(properties, NOW + 100, NOW + 200) is up


@pytest.mark.parametrize(("since_boot", "up"), [(20, None), (150, False), (None, False)])
def test_nothing_is_known_of_a_unit_before_its_host_booted(since_boot: int | None, up: bool | None) -> None:
    """It was entered at 250, that many seconds after the boot; the span is 100 to 200."""
    monotonic = "" if since_boot is None else str(since_boot * 1_000_000)
    properties = {"ActiveEnterTimestamp": stamp(NOW + 250), "ActiveEnterTimestampMonotonic": monotonic}
    assert systemd.was_up({"ActiveState": "active", **properties}, NOW + 100, NOW + 200) is up


@pytest.mark.parametrize(
    ("stamped", "asleep", "entered"),
    [
        (-500, 0, -500),
        (-559, 0, -559),
        (-561, 0, -500),
        (-441, 0, -441),
        (-439, 0, -500),
        (-86400, 0, -500),
        (-1500, 1000, -1500),
        (-1570, 1000, -500),
    ],
)
def test_what_was_stamped_before_the_clock_was_set_is_reckoned_from_the_boot(
    stamped: int, asleep: int, entered: int
) -> None:
    """The host has been awake for 600 s, and the unit was entered 100 s after the boot, so 500 s ago at most."""
    properties = {"ActiveEnterTimestamp": stamp(NOW + stamped), "ActiveEnterTimestampMonotonic": "100000000"}
    shown = systemd.by_the_clock(systemd.Shown(properties), NOW, 600.0, asleep)
    assert systemd.moment(shown.properties, "ActiveEnterTimestamp") == NOW + entered
    assert ("clock was set" in shown.why) is (stamped != entered)


def test_the_time_that_a_unit_was_left_is_reckoned_too() -> None:
    properties = {"ActiveExitTimestamp": stamp(NOW - 86400), "ActiveExitTimestampMonotonic": "90000000"}
    shown = systemd.by_the_clock(systemd.Shown(properties), NOW, 600.0, 0.0)
    assert systemd.moment(shown.properties, "ActiveExitTimestamp") == NOW - 510


@pytest.mark.parametrize("monotonic", [None, "0", ""])
def test_a_time_that_systemd_did_not_count_stays(monotonic: str | None) -> None:
    counted = {} if monotonic is None else {"ActiveEnterTimestampMonotonic": monotonic}
    shown = systemd.Shown({"ActiveEnterTimestamp": stamp(NOW - 86400), **counted})
    assert systemd.by_the_clock(shown, NOW, 600.0, 0.0) == shown


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Sat 2026-02-07 03:50:00 UTC", NOW),
        ("2026-02-07 03:50:00.500000 UTC", NOW + 0.5),
        ("@1770436200", NOW),
        ("Fri 2026-02-06 22:50:00 EST", None),
        ("n/a", None),
        ("", None),
        ("@x", None),
    ],
)
def test_timestamps_of_systemctl(text: str, at: float | None) -> None:
    assert systemd.moment({"T": text}, "T") == at


def test_a_property_on_several_lines_keeps_them_all(program: Callable[[str, str], Path]) -> None:
    files = ["/etc/default/app (ignore_errors=yes)", "/home/pi/app/a b.env (ignore_errors=no)"]
    shown = "".join(f"EnvironmentFiles={file}\\n" for file in files)
    program("systemctl", f"#!/bin/sh\nprintf 'LoadState=loaded\\n{shown}Environment=A=B\\n'\n")
    properties = systemd.show("app", time.monotonic() + 20.0).properties
    assert properties["EnvironmentFiles"].splitlines() == files
    assert properties["Environment"] == "A=B"
