# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the log of an agent worker, as LiveKit gives it, without believing its silence.

The strings are those of livekit-agents 1.7 (Python) and agents-js, read in their sources. The log is the newest
instance's alone, begins when that one started, and is gone when it sleeps.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

MOST_ERRORS = 5
ERROR_LENGTH = 300
LINE_LENGTH = 4000

# What LiveKit says in place of a sleeping agent's log.
INACTIVE = "shut down due to inactivity"
# Lines that lk and LiveKit add, not the agent.
_NOT_THE_AGENTS = ("Using ", "Waiting for deployment to start")
_STARTING, _REGISTERED, _JOB = "starting worker", "registered worker", "received job request"
_CRASHED = re.compile(
    r"Traceback \(most recent call last\)|unhandled exception while running the job task|worker failed"
    r"|process exited with non-zero exit code|error initializing process|error in entry function"
    r"|job process exited unexpectedly|UnhandledPromiseRejection|Uncaught|process exceeded memory limit"
)
_SESSION_ENDS = (
    ("error", "AgentSession is closing due to unrecoverable error"),
    ("person_left", "closing agent session due to participant disconnect"),
)
_REFUSED = re.compile(r"failed to connect to livekit", re.I)
_ERROR = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL)\b|\"level\":\s*(?:\"(?i:error|fatal|critical)\"|[56]0\b)|^(?:(?:\w+\.)*\w*(?:Error|Exception|ImproperlyConfigured)\b|error:)"
)
# Anywhere in a line, if that is no warning: a cause of an error, what agents-js calls one without a level.
_ERROR_WITHIN = re.compile(r"\b[A-Z]\w*(?:Error|Exception): |\bError: |error in entry function")
_WARNING = re.compile(r"\b(?:WARN|WARNING|DEBUG|INFO)\b|\"level\":\s*(?:\"(?i:warn|warning|debug|info)\"|[1-4]0\b)")
_NAME = r"[A-Z][A-Z0-9]*_[A-Z0-9_]+"
_KEY_ERROR = re.compile(rf"KeyError: \\?['\"]({_NAME})")
# In a traceback, who looked the key up; os.py is frozen since Python 3.11.
_FRAME, _OF_ENVIRONMENT = re.compile(r"^\s*File \"", re.M), re.compile(r"environ|<frozen os>|/os\.py\"")
_FRAMES_BEFORE = 8
_MISSING = (
    re.compile(
        rf"\b({_NAME})[\"'`]? (?:environment variable )?(?:must be (?:set|provided)|(?:is |was )?"
        r"(?:not set|unset|missing|required|undefined|not defined|not found|not provided|empty))\b"
    ),
    re.compile(
        r"(?:[Mm]issing|[Rr]equired|[Uu]ndefined|not found|not set)(?: \w{1,20}){0,3}[:\s\"'`]{1,3}"
        rf"({_NAME}(?:[\"'`]?,? (?:and )?[\"'`]?{_NAME}){{0,20}})"
    ),
    # What LiveKit's own plugins, and Django's settings, say.
    re.compile(rf"\b[Ss]et (?:the )?[\"'`]?({_NAME})[\"'`]? environment(?:al)? variable"),
)
# What validators of settings say over several lines: pydantic-settings, zod, and envalid.
_MISSING_BELOW = (
    re.compile(r"ValidationError: \d+ validation errors? for \w*(?:Settings|Config|Env)\w*((?:\n[^\n]*){1,60})"),
    re.compile(rf"\"path\": \[\s*\"({_NAME})\"\s*\],\s*\"message\": \"(?:Required|[^\n]{{0,60}}received undefined)\""),
    re.compile(rf"[Mm]issing environment variables:((?:\n\s*{_NAME}: [^\n]*){{1,30}})"),
)
_FIELD_REQUIRED = re.compile(r"^(\w+)\n\s+Field required", re.M)
_CODE = re.compile(
    r"\b(P[1-6]\d{3}|ERR_NGROK_\d{1,5}|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENOSPC|EPIPE)\b"
)
_STATUS = re.compile(r"\b(?:status(?:[ _-]?code)?|HTTP(?:/\d(?:\.\d)?)?)[\"']?\s{0,3}[:=]?\s{0,3}([45]\d\d)\b", re.I)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)")
_MILLISECONDS = re.compile(r"\"(?:time|timestamp|ts)\":\s*(\d{13})\b")


def agent_lines(output: str) -> list[str]:
    """Return the lines that the agent wrote, each cut to a length that is quick to search."""
    lines = [clip(line.rstrip(), LINE_LENGTH) for line in output.split("\n")]
    return [line for line in lines if line and not line.startswith(_NOT_THE_AGENTS)]


def read_log(
    lines: list[str], span: tuple[float, float], secrets: tuple[str, ...] = (), since: float = 0.0
) -> dict[str, Any]:
    """Return the C(log_…) signals of the layer C(agent) from the agent's lines.

    C(span) is the time, in seconds since 1970, in which a job can be the user's; crashes and errors that are known to
    be older than C(since) are passed over. Values are True only if a line says so; what no line speaks of stays None.
    """
    recent = _not_older(lines, since)
    errors = [line for line in recent if _is_error(line)]
    return {
        "log_lines": len(lines),
        "log_registered": _registered(lines),
        "log_job_received": _job_received(lines, span),
        "log_crashed": any(_CRASHED.search(line) for line in recent) if lines else None,
        "log_session_ends": _session_ends(lines, span),
        "log_missing_names": _missing_names(lines),
        "log_errors": [clip(redact(line, secrets), ERROR_LENGTH) for line in _last_distinct(errors)],
        "log_codes": _codes(recent),
    }


def line_time(line: str) -> float | None:
    """Return a line's own time in seconds since 1970; None if it has none, or none with a zone."""
    head = line[:300]
    text = _TIME.search(head)
    if text:
        return parse_time(text[0].replace(",", "."))
    number = _MILLISECONDS.search(head)
    return int(number[1]) / 1000 if number else None


def _is_error(line: str) -> bool:
    return bool(_ERROR.search(line) or (_ERROR_WITHIN.search(line) and not _WARNING.search(line)))


def _registered(lines: list[str]) -> bool | None:
    """Whether the newest start of the worker ended in its registration; False only if it is seen to have failed."""
    starts = [number for number, line in enumerate(lines) if _STARTING in line]
    newest = lines[starts[-1] :] if starts else lines
    if any(_REGISTERED in line for line in newest):
        return True
    failed = any(_CRASHED.search(line) or _REFUSED.search(line) for line in newest)
    return False if starts and failed else None


def _job_received(lines: list[str], span: tuple[float, float]) -> bool | None:
    times = [line_time(line) for line in lines if _JOB in line]
    return True if any(time is not None and span[0] <= time <= span[1] for time in times) else None


def _not_older(lines: list[str], since: float) -> list[str]:
    """Leave out the lines before C(since); a line without a time, as in a traceback, is as old as the one before it."""
    kept, time = [], None
    for line in lines:
        time = line_time(line) or time
        if time is None or time >= since:
            kept.append(line)
    return kept


def _session_ends(lines: list[str], span: tuple[float, float]) -> list[str] | None:
    """Name how sessions of the attempt ended: C(error), C(person_left); None if no timed line says so."""
    ends = [
        name
        for line in lines
        for name, text in _SESSION_ENDS
        if text in line and span[0] <= (line_time(line) or 0.0) <= span[1]
    ]
    return list(dict.fromkeys(ends)) or None


def _missing_names(lines: list[str]) -> list[str]:
    """Name the variables that an error misses; that an optional one is not set is only warned of."""
    found = [match for line in lines if _is_error(line) for pattern in _MISSING for match in pattern.findall(line)]
    for number, line in enumerate(lines):
        if looked_up := _KEY_ERROR.findall(line):
            before = "\n".join(lines[max(0, number - _FRAMES_BEFORE) : number + 1])
            if not _FRAME.search(before) or _OF_ENVIRONMENT.search(before):
                found += looked_up
    found += _missing_below("\n".join(lines))
    names = [name for match in found for name in re.findall(r"[A-Z][A-Z0-9_]+", match)]
    return list(dict.fromkeys(names))


def _missing_below(text: str) -> list[str]:
    """Name what a validator misses on lines of their own; pydantic-settings tells a variable by its field's name."""
    settings, zod, envalid = (pattern.findall(text) for pattern in _MISSING_BELOW)
    listed = [name for block in envalid for name in re.findall(rf"({_NAME}): ", block)]
    return [*(name.upper() for block in settings for name in _FIELD_REQUIRED.findall(block)), *zod, *listed]


def _codes(lines: list[str]) -> list[str]:
    found = [
        code
        for line in lines
        for code in (*_CODE.findall(line), *(f"HTTP_{status}" for status in _STATUS.findall(line)))
    ]
    return list(dict.fromkeys(found))


def _last_distinct(lines: list[str]) -> list[str]:
    newest_first = list(dict.fromkeys(reversed(lines)))[:MOST_ERRORS]
    return newest_first[::-1]
