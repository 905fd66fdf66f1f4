# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the log of an agent worker, as LiveKit gives it, without believing its silence.

The strings are those of livekit-agents 1.7 (Python) and agents-js, read in their sources. The log is the newest
instance's alone, begins when that one started, and is gone when it sleeps.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_log import (
    CAPACITY,
    JOB,
    connect_failure,
    field,
    worded,
    worker_kind,
)

MOST_ERRORS = 5
ERROR_LENGTH = 300
LINE_LENGTH = 4000
# A traceback within JSON may be long; what is longer than this is searched as text.
JSON_LENGTH = 256 * 1024

# What LiveKit says in place of a sleeping agent's log.
INACTIVE = "shut down due to inactivity"
# Lines that lk and LiveKit add, not the agent.
_NOT_THE_AGENTS = ("Using ", "Waiting for deployment to start")
_STARTING, _REGISTERED, _JOB = "starting worker", "registered worker", "received job request"
_CRASHED = re.compile(
    r"Traceback \(most recent call last\)|unhandled exception while running the job task|worker failed"
    r"|process exited with non-zero exit code|error initializing process|error in entry function"
    r"|job process exited unexpectedly|UnhandledPromiseRejection|Uncaught|process exceeded memory limit"
    # What ends a program before it logs: Node then names its version, Python points at the place, npm and python say so
    r"|^Node\.js v\d+\.\d|^\s+\^+$|^npm (?:error|ERR!) Missing script|can't open file '[^']+': \[Errno 2\]"
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
_LEVELS = {
    **dict.fromkeys(("error", "fatal", "critical"), True),
    **dict.fromkeys(("trace", "debug", "info", "warn", "warning"), False),
}
# What pino numbers an error.
_LEAST_ERROR = 50
_NAME = r"[A-Z][A-Z0-9]*_[A-Z0-9_]+"
_KEY_ERROR = re.compile(rf"KeyError: ['\"]({_NAME})")
# In a traceback, who looked the key up; os.py is frozen since Python 3.11.
_FRAME, _OF_ENVIRONMENT = re.compile(r"^\s*File \"", re.M), re.compile(r"environ|<frozen os>|/os\.py\"")
_FRAMES_BEFORE = 8
# An exception of the code itself, beside which it does not matter that some variable is not set.
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b")
_OF_CODE = re.compile(r"^(?:ModuleNotFound|Import|Syntax|Indentation|Name|Reference)Error\b|\bERR_MODULE_NOT_FOUND\b")
_MISSING = (
    re.compile(
        rf"\b({_NAME})[\"'`]? (?:environment variable )?(?:must be (?:set|provided|defined)|(?:is |was )?"
        r"(?:not set|unset|missing|(?:a )?required|undefined|not defined|not found|not provided|empty))\b"
    ),
    re.compile(
        r"(?:[Mm]issing|[Rr]equired|[Uu]ndefined|not found|not set)(?: \w{1,20}){0,3}[:\s\"'`]{1,3}"
        rf"({_NAME}(?:[\"'`]?,? (?:and )?[\"'`]?{_NAME}){{0,20}})"
    ),
    # What LiveKit's own plugins, OpenAI's client, and Django's settings say; of alternatives the first.
    re.compile(
        rf"\b(?:[Ss]et(?:ting)?|as|or|via)(?: the)? [\"'`]?({_NAME})[\"'`]?(?: or [\"'`]?{_NAME}[\"'`]?){{0,5}}"
        r" environment(?:al)? variable"
    ),
    re.compile(rf"\bas \$({_NAME})"),
)
# Records and fields may be called like variables: a name is one by how it ends, or by the words around it.
_VARIABLES_NAME = re.compile(r"_(?:KEY|UR[LI]|TOKEN|SECRET|PASSWORD|DSN|HOST)$")
_VARIABLES_WORDS = re.compile(r"(?i)\benv(?:iron|[ _-]?var|\.)|\.env\b|variable|\b(?:not|be) set\b|\bunset\b|\$[A-Z]")
_NEAR = 60
# What validators of settings say over several lines: pydantic-settings, zod, t3-env, and envalid.
_MISSING_BELOW = (
    re.compile(r"ValidationError: \d+ validation errors? for \w*(?:Settings|Env(?:ironment)?)((?:\n[^\n]*){1,60})"),
    re.compile(
        rf"path[\"']?: \[\s*[\"']({_NAME})[\"']\s*\],\s*[\"']?message[\"']?: "
        r"[\"'](?:Required|[^\n]{0,60}received undefined)[\"']"
    ),
    re.compile(rf"\b({_NAME}): \[\s*[\"'](?:Required|[^\n]{{0,60}}received undefined)[\"']"),
    re.compile(rf"[Mm]issing environment variables:((?:\n\s*{_NAME}: [^\n]*){{1,30}})"),
)
_FIELD_REQUIRED = re.compile(r"^(\w+)\n\s+Field required", re.M)
_CODE = re.compile(
    r"\b(P[1-6]\d{3}|ERR_NGROK_\d{1,5}|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENOSPC|EPIPE)\b"
)
_STATUS = re.compile(r"\b(?:status(?:[ _-]?code)?|HTTP(?:/\d(?:\.\d)?)?)[\"']?\s{0,3}[:=]?\s{0,3}([45]\d\d)\b", re.I)
_TIME = re.compile(r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d))")
_MILLISECONDS = re.compile(r"\"(?:time|timestamp|ts)\":\s*(\d{13})\b")
# Python's JSON ends with the time, also where its beginning is cut off or it is too long.
_TIME_LAST = re.compile(rf"\"timestamp\": ?\"({_TIME.pattern})\"\}}$")
_HEAD, _TAIL = 300, 100


class Line(NamedTuple):
    """A line of the log: what it says, and what of it is known.

    C(text) is searched, and cut to a length that is quick to search; C(brief) is what people need of it. C(time) is its
    own, in seconds since 1970; C(grave) whether its level is that of an error; C(kind) what it tells, as in worker_log.
    Each is None if the line does not say.
    """

    text: str
    brief: str
    time: float | None
    grave: bool | None
    kind: str | None


def agent_lines(output: str) -> list[str]:
    """Return the lines that the agent wrote."""
    lines = [line.rstrip() for line in output.split("\n")]
    return [line for line in lines if line and not line.startswith(_NOT_THE_AGENTS)]


def read_log(
    lines: list[str], span: tuple[float, float], secrets: tuple[str, ...] = (), since: float = 0.0
) -> dict[str, Any]:
    """Return the C(log_…) signals of the layer C(agent) from the agent's lines.

    C(span) is the time, in seconds since 1970, in which a job can be the user's; crashes and errors that are known to
    be older than C(since) are passed over. Values are True only if a line says so; what no line speaks of stays None.
    """
    found = [_read(line) for line in lines]
    recent = _not_older(found, since)
    errors = [line.text if len(line.text) <= ERROR_LENGTH else line.brief for line in recent if _is_error(line)]
    return {
        "log_lines": len(found),
        "log_registered": _registered(found),
        "log_job_received": _job_received(found, span),
        "log_crashed": any(_is_crash(line) for line in recent) if found else None,
        "log_said": _said(recent),
        "log_connect_failure": _connect_failure(found),
        "log_session_ends": _session_ends(found, span),
        "log_missing_names": _missing_names(found),
        "log_errors": [_without_middle(redact(error, secrets), ERROR_LENGTH) for error in _last_distinct(errors)],
        "log_codes": _codes(recent),
    }


def line_time(line: str) -> float | None:
    """Return a line's own time in seconds since 1970; None if it has none, or none with a zone."""
    return _time(line, _fields(line))


def registered_name(lines: list[str]) -> str | None:
    """Return the dispatch name of the newest registration, '' for automatic dispatch; agents-js does not log it."""
    return field(next((line for line in reversed(lines) if _REGISTERED in line), ""), "agent_name")


def _read(line: str) -> Line:
    fields, text = _fields(line), _without_middle(line, LINE_LENGTH)
    return Line(text, worded(line) if fields else text, _time(line, fields), _grave(text, fields), worker_kind(text))


def _fields(line: str) -> dict[str, Any]:
    """Return the fields of a line in JSON, as Python's worker writes them in production, and pino; else none."""
    if not line.startswith("{") or len(line) > JSON_LENGTH:
        return {}
    try:
        fields: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields


def _without_middle(text: str, limit: int) -> str:
    """Return at most C(limit) characters: those of both ends, for an exception stands at the end."""
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[1 - half :]}"


def _time(line: str, fields: dict[str, Any]) -> float | None:
    told = fields.get("timestamp", fields.get("time"))
    if isinstance(told, str):
        return parse_time(told)
    head = line[:_HEAD]
    text = _TIME_LAST.search(line[-_TAIL:]) or _TIME.search(head)
    if text:
        return parse_time(text["time"])
    number = _MILLISECONDS.search(head)
    return int(number[1]) / 1000 if number else None


def _grave(text: str, fields: dict[str, Any]) -> bool | None:
    level = fields.get("level")
    if isinstance(level, str):
        return _LEVELS.get(level.lower())
    if isinstance(level, (int, float)):
        return level >= _LEAST_ERROR
    return True if _ERROR.search(text) else False if _WARNING.search(text) else None


def _is_error(line: Line) -> bool:
    return line.grave or (line.grave is None and _ERROR_WITHIN.search(line.text) is not None)


def _is_crash(line: Line) -> bool:
    """Whether a line tells of a crash; of what a traceback is only warned of, the worker goes on."""
    return line.grave is not False and _CRASHED.search(line.text) is not None


def _registered(lines: list[Line]) -> bool | None:
    """Whether the newest start of the worker ended in its registration; False only if it is seen to have failed."""
    starts = [number for number, line in enumerate(lines) if _STARTING in line.text]
    newest = lines[starts[-1] :] if starts else lines
    if any(_REGISTERED in line.text for line in newest):
        return True
    failed = any(_is_crash(line) or _REFUSED.search(line.text) for line in newest)
    return False if starts and failed else None


def _job_received(lines: list[Line], span: tuple[float, float]) -> bool | None:
    times = [line.time for line in lines if _JOB in line.text]
    return True if any(time is not None and span[0] <= time <= span[1] for time in times) else None


def _not_older(lines: list[Line], since: float) -> list[Line]:
    """Leave out the lines before C(since); a line without a time, as in a traceback, is as old as the one before it."""
    kept, time = [], None
    for line in lines:
        time = line.time or time
        if time is None or time >= since:
            kept.append(line)
    return kept


def _said(lines: list[Line]) -> list[str]:
    """Name what is told of jobs, and C(full) if the worker was not below its capacity again."""
    capacity = [line.kind for line in lines if line.kind in CAPACITY][-1:]
    jobs = [line.kind for line in lines if line.kind in (*JOB, "oom_killed")]
    return [kind for kind in dict.fromkeys([*jobs, *capacity]) if kind and kind != "below"]


def _connect_failure(lines: list[Line]) -> str:
    """Say why the newest run of the worker could not connect; '' if it registered since, or no line says so."""
    begun = [number for number, line in enumerate(lines) if line.kind in ("starting", "registered")]
    newest = lines[begun[-1] if begun else 0 :]
    failures = [connect_failure(line.brief) for line in newest if line.kind in ("connect_failed", "gave_up")]
    return next(filter(None, reversed(failures)), "")


def _session_ends(lines: list[Line], span: tuple[float, float]) -> list[str] | None:
    """Name how sessions of the attempt ended: C(error), C(person_left); None if no timed line says so."""
    ends = [
        name
        for line in lines
        for name, text in _SESSION_ENDS
        if text in line.text and span[0] <= (line.time or 0.0) <= span[1]
    ]
    return list(dict.fromkeys(ends)) or None


def _missing_names(lines: list[Line]) -> list[str]:
    """Name the variables that an error misses; that an optional one is not set is only warned of."""
    grave = [line for line in lines if line.grave is not False]
    texts = [_unfolded(line.text) for line in grave]
    newest = next((text for text in reversed(texts) if _EXCEPTION.match(text)), "")
    said = [] if _OF_CODE.search(newest) else [text for line, text in zip(grave, texts) if _is_error(line)]
    found = [name for text in said for name in _missing_within(text)]
    for number, text in enumerate(texts):
        if looked_up := _KEY_ERROR.findall(text):
            before = "\n".join(texts[max(0, number - _FRAMES_BEFORE) : number + 1])
            if not _FRAME.search(before) or _OF_ENVIRONMENT.search(before):
                found += looked_up
    found += _missing_below("\n".join(texts))
    return list(dict.fromkeys(found))


def _unfolded(text: str) -> str:
    """Return a traceback within JSON as if it stood on lines of its own."""
    return text.replace("\\n", "\n").replace('\\"', '"')


def _missing_within(text: str) -> list[str]:
    """Name what a line misses that is a variable, by its name or by the words near it."""
    return [
        name
        for pattern in _MISSING
        for match in pattern.finditer(text)
        for name in re.findall(_NAME, match[1])
        if _VARIABLES_NAME.search(name)
        or _VARIABLES_WORDS.search(text, max(0, match.start() - _NEAR), match.end() + _NEAR)
    ]


def _missing_below(text: str) -> list[str]:
    """Name what a validator misses on lines of their own; pydantic-settings tells a variable by its field's name."""
    settings, zod, t3_env, envalid = (pattern.findall(text) for pattern in _MISSING_BELOW)
    listed = [name for block in envalid for name in re.findall(rf"({_NAME}): ", block)]
    return [*(name.upper() for block in settings for name in _FIELD_REQUIRED.findall(block)), *zod, *t3_env, *listed]


def _codes(lines: list[Line]) -> list[str]:
    found = [
        code
        for line in lines
        for code in (*_CODE.findall(line.text), *(f"HTTP_{status}" for status in _STATUS.findall(line.text)))
    ]
    return list(dict.fromkeys(found))


def _last_distinct(lines: list[str]) -> list[str]:
    newest_first = list(dict.fromkeys(reversed(lines)))[:MOST_ERRORS]
    return newest_first[::-1]
