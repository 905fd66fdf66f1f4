# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line of an agent worker's log, or of livekit-server's, tells. Pure; where lines come from is not known here.

The strings are those of livekit-agents 1.7 and 1.8 (Python) and livekit-server 1.13, which the tests run, and of
agents-js, read in its sources; older versions differ in the fields, not in the sentences.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip

TEXT_LIMIT = 300

# What systemd says of the unit.
_UNIT = (
    ("unit_started", r"^Started "),
    ("unit_restarts", r"Scheduled restart job"),
    ("oom_killed", r"OOM killer|Out of memory: Killed|exceeded memory limit, killing|non-zero exit code -9\b"),
    ("unit_failed", r"Main process exited, code=(?!exited, status=0)|Failed with result"),
    ("unit_stopped", r"^Stopped |Deactivated successfully"),
)
_LIFE = (
    ("registered", r"(?<!de)registered worker"),
    ("starting", r"starting worker"),
    (
        "gave_up",
        r"(?:^|[\"'\]]|livekit\.agents:?\s+|ERROR\s+)worker failed\b"
        r"|(?i:failed to connect to livekit.{0,200} after \d+ attempts)",
    ),
    ("connect_failed", r"(?i:failed to connect to livekit)|worker error:"),
    ("connection_lost", r"worker connection closed unexpectedly"),
    ("stopping", r"draining worker|shutting down worker"),
)
_CAPACITY = (("full", r"worker is at full capacity"), ("below", r"worker is below capacity"))
_JOB = (
    ("job_received", r"received job request"),
    ("assignment_timeout", r"assignment for job \S+ timed out"),
    ("rejected", r"no answer was given inside the job_?[rR]equest_?[fF]u?nc"),
    ("request_failed", r"job_?[rR]equest_?[fF]u?nc failed"),
    (
        "pool_broken",
        r"error initializing process|failed to acquire process for job after|failed to launch job on process after"
        r"|error launching job",
    ),
    ("not_connected", r"room connection was not established within|room not connect after job_entry was called"),
    ("never_connected", r"job task completed without establishing a connection"),
    ("unresponsive", r"job (?:executor )?is unresponsive"),
    ("session_error", r"AgentSession is closing due to unrecoverable error"),
    ("person_left", r"closing agent session due to participant disconnect"),
    # Of a person it means a second tab.
    ("duplicate_identity", r"^(?!.*(?i:participant))(?=.*(?i:duplicate_?identity))"),
    (
        "crashed",
        r"unhandled exception while running the job task|error in entry function|job process exited unexpectedly"
        r"|process exited with non-zero exit code",
    ),
)
# LiveKit asks for an agent once for each type of job, and workers register for rooms' jobs. That there is no worker for
# the other types is logged on every join, also when all is well: only lines of a room's job count.
_OF_A_JOB = (
    ("not_dispatched", r"not dispatching agent job since no worker is available"),
    ("no_capacity", r"no servers available \(received \d+ responses\)|no workers with sufficient capacity"),
    ("no_response", r"failed to send job request.{0,2000}no response from servers"),
    ("timed_out", r"failed to send job request.{0,2000}request timed out"),
    ("assigned", r"assigned job to worker"),
)
_SERVER = (
    *_OF_A_JOB,
    ("server_registered", r"(?<!de)\bworker registered"),
    ("worker_left", r"agent worker left the room"),
)
_ROOM_JOB = "JT_ROOM"

# The first that fits a line is what it tells.
_WORKER_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in (*_UNIT, *_LIFE, *_CAPACITY, *_JOB))
_SERVER_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in _SERVER)
LIFE, CAPACITY, JOB, OF_A_JOB = (
    tuple(kind for kind, _pattern in table) for table in ((*_UNIT, *_LIFE), _CAPACITY, _JOB, _OF_A_JOB)
)


def pattern_of(*kinds: str) -> str:
    """Return one regular expression, for PCRE2 as for Python, that lets these kinds' lines through."""
    tables = (*_UNIT, *_LIFE, *_CAPACITY, *_JOB, *_SERVER)
    return "|".join(f"(?:{pattern})" for kind, pattern in tables if kind in kinds)


WORKER_PATTERN = pattern_of(*LIFE, *CAPACITY, *JOB)
SERVER_PATTERN = pattern_of(*(kind for kind, _pattern in _SERVER))

# Order matters: "Cannot connect to host" stands before the reason, and "ssl:default" in all of them.
_FAILURES = (
    ("credentials", re.compile(r"\b401\b|[Uu]nauthorized|invalid API key|signature is invalid")),
    ("tls", re.compile(r"CERTIFICATE|[Cc]ertificate|SSLError|\bCERT_|self.signed")),
    ("dns", re.compile(r"Name or service not known|ENOTFOUND|nodename nor servname|No address associated|not resolve")),
    ("not_livekit", re.compile(r"\b404\b")),
    # What stands before LiveKit, such as nginx, or a firewall of its own mind.
    (
        "proxy",
        re.compile(
            r"\b(?:403|50[0234])\b.{0,80}Invalid response status|Unexpected server response: (?:403|50[0234])\b"
        ),
    ),
    (
        "unreachable",
        re.compile(
            r"Connect call failed|ECONNREFUSED|[Cc]onnection refused|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|[Tt]imed? ?out"
            r"|TimeoutError|EAI_AGAIN|Temporary failure in name resolution|Cannot connect to host"
        ),
    ),
)


def worker_kind(text: str) -> str | None:
    """Say what a line of a worker's log, or of systemd about its unit, tells; None if nothing that is known."""
    return next((kind for kind, pattern in _WORKER_KINDS if pattern.search(text)), None)


def server_kind(text: str) -> str | None:
    """Say what a line of livekit-server's log tells of a room's agent; None for other jobs, and for all else."""
    kind = next((kind for kind, pattern in _SERVER_KINDS if pattern.search(text)), None)
    return None if kind in OF_A_JOB and field(text, "jobType") != _ROOM_JOB else kind


def connect_failure(text: str) -> str | None:
    """Say why the worker could not connect: a key of L(_FAILURES); None if the line does not say."""
    return next((kind for kind, pattern in _FAILURES if pattern.search(text)), None)


def field(text: str, *names: str) -> str | None:
    """Return a line's field, whether it is written as JSON, as C(name=value), or as C(name: value); None without it."""
    for name in names:
        match = re.search(rf'(?<![\w.])"?{name}"?\s?[:=]\s?(?:"((?:[^"\\]|\\.){{0,300}})"|([^\s",}}]{{1,300}}))', text)
        if match:
            return match[1] if match[1] is not None else match[2]
    return None


def host_of(text: str) -> str | None:
    """Return the host of the LiveKit server that the line names."""
    url = field(text, "url") or next(iter(re.findall(r"wss?://[^\s\"',)]{1,300}", text)), None)
    try:
        return urlsplit(url).hostname if url and "://" in url else None
    except ValueError:
        return None


def worded(text: str) -> str:
    """Return what people need of a line: of one in JSON its message, and the last line of its exception."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return clip(text, TEXT_LIMIT)
    if not isinstance(line, dict):
        return clip(text, TEXT_LIMIT)
    # livekit-agents 1.8 repeats the traceback in the message.
    message = str(line.get("message") or line.get("msg") or "").partition("\n")[0]
    causes = (_last_line(line.get(name)) for name in ("error", "err", "exc_info"))
    parts = [part for part in (message, next(filter(None, causes), "")) if part]
    return clip(": ".join(parts) or text, TEXT_LIMIT)


def _last_line(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("message") or value.get("stack") or ""
    lines = [line.strip() for line in str(value or "").splitlines()]
    return next((line for line in reversed(lines) if line), "")
