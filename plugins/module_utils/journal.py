# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the systemd journal as a stream: a million entries, a ten-megabyte line, a hanging disk have a bounded cost.

journalctl filters (by unit, by time, and with --grep where it was built with PCRE2); what it lets through is filtered
again here, since after a step of the clock --since also returns older entries. Field names and message ids are those of
systemd.journal-fields(7) and sd-messages.h. All times are seconds since 1970 on this host's clock.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from ansible_collections.voiceops.livekit.plugins.module_utils.journal_stream import End, environment, stream
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, run
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clean, clip

T = TypeVar("T")
# What is stamped further off than that was stamped before somebody set the clock.
CLOCK_SET_S = 60.0

TEXT_LIMIT = 16 * 1024
ENTRY_LIMIT = 2000
_LATEST = 253402300799.0  # the end of the year 9999

MESSAGE_DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
# journald tells of what it dropped when the unit's next message comes after the interval (RateLimitIntervalSec, 30 s).
_DROPPED_LATER_S = 60.0

_HINTS = ("not seeing messages from other users", "insufficient permissions", "Permission denied")
_SALVAGE_TIME = re.compile(r'"__REALTIME_TIMESTAMP"\s*:\s*"(\d{1,20})"')
_SALVAGE_PRIORITY = re.compile(r'"PRIORITY"\s*:\s*"(\d)"')
_SALVAGE_TEXT = re.compile(r'"MESSAGE"\s*:\s*("(?:[^"\\]|\\.)*|\[[\d,\s]*)')


class Entry(NamedTuple):
    """One entry: when, what, and its syslog priority (3 is an error, 6 the default)."""

    at: float
    text: str
    priority: int


class Query(NamedTuple):
    """What to read: a unit's entries between two times whose message matches C(pattern).

    An empty C(unit) is the kernel. C(pattern) is a regular expression that PCRE2 and Python read alike.
    """

    unit: str
    since: float
    until: float
    pattern: str
    newest_first: bool = False


@dataclass
class Reading(Generic[T]):
    """What came of reading."""

    items: list[T] = field(default_factory=list)
    complete: bool = True
    """Whether all there is was read: no deadline, limit or error cut it off."""
    readable: bool | None = None
    """False if this user may not read the whole journal, or there is none; None if it could not be asked."""
    why: str = ""
    """Why it is not complete, or not readable."""


def can_grep(deadline: float) -> bool:
    """Say whether this journalctl filters by --grep: its version names the PCRE2 that it was built with."""
    try:
        return "+PCRE2" in run(["journalctl", "--version"], deadline=deadline, env=environment()).stdout
    except ProgramError:
        return False


def read(
    query: Query, convert: Callable[[Entry], T | None], *, greps: bool, deadline: float, limit: int = ENTRY_LIMIT
) -> Reading[T]:
    """Read until C(limit) entries are converted, or C(deadline), an absolute C(time.monotonic()).

    C(convert) makes of an entry what to keep, or None. C(greps) is what L(can_grep) said.
    """
    if query.until < query.since:
        return Reading()
    arguments = [
        "--all",
        "--output-fields=MESSAGE,PRIORITY",
        # Unlike --dmesg, this also shows what the kernel said before a reboot.
        f"--unit={query.unit}" if query.unit else "_TRANSPORT=kernel",
        # Whole seconds outwards: what is too much is filtered below.
        f"--since=@{max(0, math.floor(query.since))}",
        f"--until=@{math.ceil(query.until)}",
        *(["--reverse"] if query.newest_first else []),
    ]
    # The scoped flag keeps journalctl from ignoring the case of a pattern in lower case.
    grep = [f"--grep=(?-i:{query.pattern})"] if greps else []
    reading = _read(arguments + grep, query, convert, deadline, limit)
    # Not only does PCRE2 read some patterns otherwise: on a long line it may also give up.
    if grep and "pattern" in reading.why.lower():
        reading = _read(arguments, query, convert, deadline, limit)
    return reading


def _read(
    arguments: list[str], query: Query, convert: Callable[[Entry], T | None], deadline: float, limit: int
) -> Reading[T]:
    wanted = re.compile(query.pattern)
    reading: Reading[T] = Reading()
    end = End()
    with contextlib.closing(stream(arguments, deadline, end)) as lines:
        for line in lines:
            entry = parse_entry(line)
            if entry is None or not query.since <= entry.at <= query.until or not wanted.search(entry.text):
                continue
            item = convert(entry)
            if item is not None:
                reading.items.append(item)
            if len(reading.items) >= limit:
                reading.complete, reading.why = False, f"there are more than {limit} entries to look at"
                break
    _conclude(reading, end)
    return reading


def _conclude(reading: Reading[T], end: End) -> None:
    """Judge by how journalctl ended whether the journal was readable, and read to the end."""
    if any(hint in end.stderr for hint in _HINTS):
        reading.readable, reading.why = False, "this user may not read the system's journal"
    elif "No journal files were found" in end.stderr:
        reading.readable, reading.why = False, "there is no journal"
    elif end.timed_out:
        reading.readable, reading.why = True if reading.items else None, "reading the journal took too long"
    elif end.returncode is None or end.returncode == 0 or (end.returncode == 1 and not end.stderr.strip()):
        # 1 also says that --grep found nothing; None, that there was enough.
        reading.readable = True
        return
    else:
        reading.why = clip(end.stderr.strip().replace("\n", " ") or f"journalctl ended with {end.returncode}", 200)
    reading.complete = False


def oldest(deadline: float) -> Reading[float]:
    """Find since when the journal holds entries, of whatever unit: one item, or none.

    A Pi has no clock of its own: until it is set after a boot, entries are stamped with the time of the last shutdown.
    So the age of an entry of this boot is reckoned from the boot instead.
    """
    access = _access(deadline)
    if not access.readable:
        return access
    reading: Reading[float] = Reading()
    end = End()
    with contextlib.closing(stream(["--output-fields=PRIORITY"], deadline, end)) as lines:
        for line in lines:
            fields = _fields(line)
            at = _seconds(fields.get("__REALTIME_TIMESTAMP"))
            if at is not None:
                reading.items.append(_reckoned(fields, at))
                break
    _conclude(reading, end)
    if reading.readable and not reading.items:
        reading.readable, reading.why = False, "the journal is empty"
    return reading


def _access(deadline: float) -> Reading[float]:
    """Ask whether this user may read the system's journal, and not only their own: no items.

    journalctl hints at that in a format for people alone, never beside JSON.
    """
    reading: Reading[float] = Reading()
    end = End()
    try:
        command = ["journalctl", "--no-pager", "--output=short", "--lines=1"]
        result = run(command, deadline=deadline, env=environment())
        end = End(result.returncode, result.stderr, result.timed_out)
    except ProgramError as exc:
        end.returncode, end.stderr = 127, str(exc)
    _conclude(reading, end)
    return reading


def _reckoned(fields: dict[str, Any], at: float) -> float:
    since_boot = _seconds(fields.get("__MONOTONIC_TIMESTAMP"))
    if since_boot is None or not _is_of_this_boot(fields):
        return at
    return time.time() - (time.monotonic() - since_boot)


def _is_of_this_boot(fields: Mapping[str, Any]) -> bool:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return fields.get("_BOOT_ID") == file.read().strip().replace("-", "")
    except OSError:
        return False


def is_of_this_boot(deadline: float) -> bool:
    """Say whether the newest entry is of this kernel's boot: only then do its systemd and this process count alike."""
    return _is_of_this_boot(_newest([], deadline))


def is_stamped_rightly(before: float, deadline: float) -> bool:
    """Say whether the newest entry until C(before) was stamped by a clock that was right by then, as it is now."""
    fields = _newest([f"--until=@{before:.0f}"], deadline)
    at = _seconds(fields.get("__REALTIME_TIMESTAMP"))
    return at is not None and _is_of_this_boot(fields) and abs(_reckoned(fields, at) - at) <= CLOCK_SET_S


def _newest(which: list[str], deadline: float) -> dict[str, Any]:
    arguments = [*which, "--lines=1", "--output-fields=PRIORITY"]
    with contextlib.closing(stream(arguments, deadline, End())) as lines:
        return next(map(_fields, lines), {})


def suppressed(unit: str, since: float, until: float, deadline: float) -> Reading[int]:
    """Count the messages of C(unit) that journald dropped for coming too fast: one item per notice."""
    reading: Reading[int] = Reading()
    end = End()
    arguments = [
        "--output-fields=MESSAGE,N_DROPPED",
        f"--since=@{max(0, math.floor(since))}",
        f"--until=@{math.ceil(until + _DROPPED_LATER_S)}",
        f"MESSAGE_ID={MESSAGE_DROPPED}",
    ]
    name = unit[: -len(".service")] if unit.endswith(".service") else unit
    with contextlib.closing(stream(arguments, deadline, end)) as lines:
        for line in lines:
            fields = _fields(line)
            text = _text(fields.get("MESSAGE"))
            count = re.search(r"\d{1,9}", str(fields.get("N_DROPPED") or text), re.ASCII)
            if count and re.search(rf"(?<![\w@.-]){re.escape(name)}(?:\.service)?(?![\w@.-])", text):
                reading.items.append(int(count[0]))
    _conclude(reading, end)
    return reading


def parse_entry(line: bytes) -> Entry | None:
    """Read one line of C(journalctl -o json), also one that lost its middle; None if it holds no entry."""
    fields = _fields(line)
    at = _seconds(fields.get("__REALTIME_TIMESTAMP"))
    if at is None:
        return None
    priority = fields.get("PRIORITY")
    return Entry(at, _text(fields.get("MESSAGE")), int(priority) if priority in tuple("01234567") else 6)


def _fields(line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8", "replace")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = _salvaged(text)
    return fields if isinstance(fields, dict) else {}


def _salvaged(text: str) -> dict[str, Any]:
    """Find the fields in a line that is no longer JSON. Quotes inside of a message are escaped, so none is mistaken."""
    at, priority, message = (pattern.search(text) for pattern in (_SALVAGE_TIME, _SALVAGE_PRIORITY, _SALVAGE_TEXT))
    value: Any = None
    if message:
        start = message[1]
        try:
            value = json.loads(f'{start}"' if start.startswith('"') else f"{start.rstrip(', ')}]")
        except ValueError:
            value = start
    return {
        "__REALTIME_TIMESTAMP": at[1] if at else None,
        "PRIORITY": priority[1] if priority else None,
        "MESSAGE": value,
    }


def _seconds(microseconds: object) -> float | None:
    if not isinstance(microseconds, str) or not re.fullmatch(r"\d{1,20}", microseconds, re.ASCII):
        return None
    seconds = int(microseconds) / 1e6
    return seconds if seconds <= _LATEST else None


def _text(message: object) -> str:
    """Make one line of a MESSAGE: a text; bytes, if it is not plain UTF-8; several texts; or null, if too large."""
    if message is None:
        return "(a message too large to show)"
    if isinstance(message, list):
        octets = bytes(part for part in message[:TEXT_LIMIT] if isinstance(part, int) and 0 <= part < 256)
        texts = [part for part in message if isinstance(part, str)]
        message = " ".join([octets.decode("utf-8", "replace"), *texts])
    # Half of a surrogate pair is legal in JSON, but nowhere after it.
    whole = str(message)[:TEXT_LIMIT].encode("utf-8", "replace").decode("utf-8")
    return " ".join(clean(whole).split())
