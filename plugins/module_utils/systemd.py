# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks systemd for a unit's state. Properties are those of org.freedesktop.systemd1(5), as systemctl shows them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.journal import CLOCK_SET_S
from ansible_collections.voiceops.livekit.plugins.module_utils.journal_stream import environment
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, run
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ExecMainStatus",
    "ActiveEnterTimestamp",
    "ActiveEnterTimestampMonotonic",
    "ActiveExitTimestamp",
    "ActiveExitTimestampMonotonic",
    "ExecStart",
    "WorkingDirectory",
    "Environment",
    "EnvironmentFiles",
)
_CLOCK_SET = "this host's clock was set since the service was started or stopped, so its log may bear other times"
_TIMESTAMP = re.compile(r"(?:[A-Z][a-z]{2} )?(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?) UTC")


class Shown(NamedTuple):
    """A unit's properties by name; empty, with the reason in C(why), if systemd could not be asked. C(why) also tells
    that their times had to be put right: see L(by_the_clock).

    One that systemctl shows on several lines has as many. C(Environment) may hold secrets: it must not leave the host.
    """

    properties: Mapping[str, str]
    why: str = ""


def show(unit: str, deadline: float) -> Shown:
    """Read a unit's L(PROPERTIES) by C(deadline), an absolute C(time.monotonic())."""
    argv = ["systemctl", "show", unit, "--no-pager", f"--property={','.join(PROPERTIES)}"]
    try:
        result = run(argv, deadline=deadline, env=environment())
    except ProgramError as exc:
        return Shown({}, f"{exc}: is this a host with systemd?")
    if result.timed_out:
        return Shown({}, "systemctl took too long")
    properties: dict[str, str] = {}
    for line in result.stdout.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            properties[name] = f"{properties[name]}\n{value}" if name in properties else value
    if "LoadState" not in properties:
        said = " ".join(redact(result.stderr).split()) or f"systemctl ended with {result.returncode}"
        return Shown({}, clip(f"systemd does not answer: {said}", 200))
    return Shown(properties)


def by_the_clock(shown: Shown, now: float, monotonic: float, asleep: float) -> Shown:
    """Give the times of a unit as the clock of C(now) has them.

    A Pi has no clock of its own: what starts before a time server is reached is stamped with the time of the last
    shutdown. systemd counts from the boot, too, as C(monotonic) does, but for the seconds that the host was C(asleep).
    """
    reckoned = {}
    for name in ("ActiveEnterTimestamp", "ActiveExitTimestamp"):
        stamped, since_boot = moment(shown.properties, name), _since_boot(shown.properties, name)
        if stamped is None or since_boot is None:
            continue
        at = now - (monotonic - since_boot)
        if not at - asleep - CLOCK_SET_S <= stamped <= at + CLOCK_SET_S:
            reckoned[name] = f"@{at:.6f}"
    return Shown({**shown.properties, **reckoned}, _CLOCK_SET) if reckoned else shown


def uptime() -> tuple[float, float]:
    """Return for how many seconds Linux was awake since the boot, as systemd counts, and for how many asleep."""
    awake = time.monotonic()
    return awake, time.clock_gettime(time.CLOCK_BOOTTIME) - awake


def _since_boot(properties: Mapping[str, str], name: str) -> float | None:
    """Read how many seconds after the boot a time was that systemd keeps; None if it is not set, or not shown."""
    text = properties.get(f"{name}Monotonic", "")
    return int(text) / 1e6 if re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII) else None


def moment(properties: Mapping[str, str], name: str) -> float | None:
    """Read a timestamp as seconds since 1970, host's clock; None if it is not set, or cannot be read."""
    text = properties.get(name, "").strip()
    if re.fullmatch(r"@\d{1,11}(?:\.\d{1,6})?", text, re.ASCII):
        return float(text[1:])
    match = _TIMESTAMP.fullmatch(text)
    return parse_time(f"{match[1]}T{match[2]}Z") if match else None


def booted(properties: Mapping[str, str]) -> float | None:
    """Say when the host booted, in seconds since 1970 on its clock: systemd counts from then, too; None if unknown."""
    name = "ActiveEnterTimestamp"
    entered, since_boot = moment(properties, name), _since_boot(properties, name)
    return None if entered is None or since_boot is None else entered - since_boot


def is_active(properties: Mapping[str, str]) -> bool | None:
    """Say whether the unit is up now; None if systemd was not asked."""
    state = properties.get("ActiveState")
    return None if state is None else state in ("active", "reloading")


def was_up(properties: Mapping[str, str], start: float, end: float) -> bool | None:
    """Say whether the unit was up from C(start) through C(end), both by the host's clock.

    systemd keeps only the last time that a unit became active, and the last time that it ceased to be.
    """
    active = is_active(properties)
    entered, left = (moment(properties, f"Active{change}Timestamp") for change in ("Enter", "Exit"))
    if active is None or (entered is None and (active or properties.get("ActiveEnterTimestamp"))):
        return None
    if entered is None:
        return False
    if entered <= start:
        return True if active else None if left is None else left >= end
    if active:
        # It was down from when it was left till it was entered; of the time before, nothing is kept.
        begin = booted(properties) if left is None else left
        return None if begin is not None and begin >= end else False
    return None if entered > end else False


def ntp_synchronized(deadline: float) -> bool | None:
    """Say what timedatectl(1) says of the clock; None if it cannot be asked."""
    try:
        result = run(["timedatectl", "show", "--property=NTPSynchronized"], deadline=deadline, env=environment())
    except ProgramError:
        return None
    return {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}.get(result.stdout.strip())
