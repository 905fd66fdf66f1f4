# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a line of the service's log says: error codes, an HTTP status, a user. Pure functions over any text.

Prisma's codes are those of https://www.prisma.io/docs/orm/reference/error-reference. Texts change between its engines,
so codes count, and texts only where an engine shows no code.
"""

from __future__ import annotations

import errno
import re

# getaddrinfo's, which Node writes like the others; Python's errno does not know them.
_RESOLVER = ("ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NONAME", "ENODATA", "ESERVFAIL", "ETIMEOUT")
_ERRNO_NAMES = frozenset(errno.errorcode.values()) | frozenset(_RESOLVER)
_CODE = re.compile(r"\bP[1-6]\d{3}\b|\bERR_[A-Z0-9_]{2,60}\b|\bSQLITE_[A-Z_]{2,40}\b|\bE[A-Z0-9_]{2,20}\b", re.ASCII)
# PrismaClientInitializationError carries its code beside the message; libc and the kernel write texts.
_TEXTS = (
    (re.compile(r"Can.t reach database server"), "P1001"),
    (re.compile(r"Authentication failed against database"), "P1000"),
    (re.compile(r"[Nn]o space left on device"), "ENOSPC"),
    (re.compile(r"database is locked"), "SQLITE_BUSY"),
    (re.compile(r"attempt to write a readonly database"), "SQLITE_READONLY"),
    (re.compile(r"database or disk is full"), "SQLITE_FULL"),
    (re.compile(r"could not locate the Query Engine"), "PRISMA_ENGINE"),
    # What prisma:error prints has no code, and a driver that is used without Prisma has another one.
    (re.compile(r"(?i)foreign key constraint (?:violated|failed)|violates foreign key constraint"), "P2003"),
    (re.compile(r"(?i)unique constraint failed|violates unique constraint"), "P2002"),
    (re.compile(r"ECONNREFUSED \S{1,80}:(?:5432|3306|1433|27017)\b"), "P1001"),
    (re.compile(r"password authentication failed for user|\b28P01\b"), "P1000"),
    (re.compile(r"remaining connection slots are reserved|too many clients already"), "P2037"),
    (re.compile(r"\bcolumn \S{1,80}(?: of relation \S{1,80})? does not exist|no such column"), "P2022"),
    (re.compile(r"(?<!of )\b(?:relation|table) \S{1,80} does not exist|no such table"), "P2021"),
)
# Prisma names the column, or its constraint after the table, as in Session_scenarioId_fkey; of SQLite, neither.
_FOREIGN_KEY = re.compile(
    r"(?:[Ff]oreign key constraint [^`'\"]{0,40}|P2003.{0,200}\b(?:constraint|field_name)[\"']?: ?)[`'\"]"
    r"(?:[A-Za-z]+_(?=\w+_fkey\b))?(\w*(?:_id|Id))(?:_fkey)?\b"
)
# ENOSPC also means that inotify has no watches left, with all the room in the world.
_NO_WATCHES = re.compile(r"watch", re.I)

_METHOD = r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b"
_STATUSES = (
    # "POST /a HTTP/1.1" 201 · POST /a 201 in 87ms · POST /a -> 201
    re.compile(
        rf"{_METHOD}[\"' ]+\S{{1,2000}}(?: HTTP/[\d.]+)?[\"']?\s+(?:(?:[-=]+>|→|-|:)\s*)?([1-5]\d\d)\b"
        r"(?![.:\d]|\s*(?:ms|s|bytes|[kM]?B)\b)"
    ),
    # | 201 | 1.2ms | 10.0.0.5 | POST "/a"
    re.compile(rf"\|\s*([1-5]\d\d)\s*\|.{{0,300}}{_METHOD}"),
    # HAProxy: its five times, 201 212 - - ---- 1/1/0/0/0 0/0 "POST /a HTTP/1.1"
    re.compile(rf" (?:-?\d+/){{4}}\+?\d+ ([1-5]\d\d) \d.{{0,300}}{_METHOD}"),
    # Completed 201 Created in 87ms, of a request whose beginning is a line of its own
    re.compile(r"(?:^|[\]:] +)(?:Completed|Sent) ([1-5]\d\d)(?= (?:[A-Z][\w' -]{1,40} )?in \d)"),
    # "POST http://pi/a HTTP/1.1" from 10.0.0.5:4242 - 201 · method=POST path=/a code=201
    re.compile(rf"{_METHOD}.{{0,300}}(?: from [\w.:\[\]-]{{1,64}} - |\bcode=)([1-5]\d\d)\b"),
    # Request finished HTTP/1.1 POST http://pi/a application/json 45 - 201 0 - 3.2ms
    re.compile(rf"Request finished .{{0,100}}{_METHOD}.{{0,300}}? - ([1-5]\d\d) "),
    # [response] http://pi: post /a {} 201 (3ms)
    re.compile(r"\[response\] .{0,600} ([1-5]\d\d) \(\d{1,9}ms\)"),
    # status=201 · "statusCode": 500
    re.compile(r"\bstatus(?:[ _]?[Cc]ode)?[\"']?\s*[=:]\s*[\"']?([1-5]\d\d)\b"),
)
# "reqId":"req-1" · request_id=7f3a · [2f1f6f0c-…] Started
_REQUEST_ID = re.compile(
    r"\b(?:req|request)[_-]?id[\"']?\s?[=:]\s?[\"']?([\w.-]{1,64})|(?:^|: )\[([0-9a-f]{8}-[0-9a-f-]{27})\]", re.I
)
# What names who called: behind the request and the Referer of an access log in the combined format, or by its name.
_USER_AGENT = re.compile(
    r"\" [1-5]\d\d (?:\d+|-) \"[^\"]*\" \"([^\"]*)\"|\buser[_-]?agent\"?\s?[=:]\s?\[?\"([^\"]*)\"", re.I
)
# Agents call with the libraries of their languages: what is none of these may be one.
_TOOL = re.compile(
    r"(?<![\w.-])(curl|wget|httpie|xh|postmanruntime|insomnia|bruno-runtime|hoppscotch|k6|apachebench|uptimerobot|uptime-kuma"
    r"|better uptime|statuscake|pingdom|site24x7|checkly|datadogsynthetics|blackbox exporter|blackbox-exporter"
    r"|kube-probe|elb-healthchecker|googlehc|zabbix|check_http)(?![\w-])",
    re.I | re.ASCII,
)
_BROWSER = re.compile(r"Mozilla/\d(?:.{0,200}\(compatible; ([\w.-]{2,30}))?", re.ASCII)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)
_ERROR = re.compile(
    r"(?:[Ee]rror|ERROR|[Ee]xception|EXCEPTION)\b|\b(?:FATAL|[Ff]atal|[Pp]anic|[Uu]nhandled)\b"
    r"|Out of memory|oom-kill|Under-voltage|[Ff]ailed (?:to|with)|code=(?:exited|killed|dumped), status=(?!0/)"
)
_REQUEST_LINE = re.compile(rf"({_METHOD})[\"' ]+(?:https?://[^/\s]+)?(/[^\s?#\"']{{0,500}})")
# A frame of a JavaScript stack: where an error was, not that somebody called.
_FRAME = re.compile(r"\s*at (?:async )?\S.*[:)]")
_RESTART = re.compile(r"Scheduled restart job")
# systemd keeps the result of the last run then, mostly exit-code: start-limit-hit is only told where that went well.
_GIVEN_UP = re.compile(r"Start request repeated too quickly")
_REQUEST = re.compile(rf"{_METHOD}|(?<!\w)/\w+/\w+")

# Lets through, in PCRE2 as in Python, every line in which the functions below can find something.
PREFILTER = (
    r"[Ee]rror|ERROR|xception|EXCEPTION|FATAL|[Ff]atal|[Pp]anic|[Uu]nhandled|Out of memory|oom-kill|Under-voltage"
    r"|[Ff]ailed|code=|Scheduled restart|repeated too quickly|P[1-6]\d{3}|ERR_|SQLITE_|\bE[A-Z0-9]{2}"
    r"|reach database|against database|Query Engine|[Ff]oreign key|FOREIGN KEY|nique constraint|UNIQUE constraint"
    r"|authentication failed|28P01|connection slots|too many clients|does not exist|no such (?:table|column)"
    r"|o space left|disk is full|is locked|readonly database|\b5\d\d\b"
    r"|[Ss]tatus[ _]?[Cc]ode|(?:Completed|Sent) [1-5]\d\d"
)


def codes(text: str) -> list[str]:
    """List the error codes that C(text) names: Prisma's, errno's, Node's ERR_*, SQLite's; each once, in order.

    C(P2003_ROW) is a foreign key, P2003, by whose name it is no user that is missing.
    """
    found = [
        code
        for code in _CODE.findall(text)
        if not code.startswith("E") or code.startswith("ERR_") or code in _ERRNO_NAMES
    ]
    found += [code for pattern, code in _TEXTS if pattern.search(text)]
    if _NO_WATCHES.search(text):
        found = [code for code in found if code != "ENOSPC"]
    column = _FOREIGN_KEY.search(text)
    if column and "user" not in column[1].lower():
        found = ["P2003_ROW", *(code for code in found if code != "P2003")]
    return list(dict.fromkeys(found))


def status(text: str) -> int | None:
    """Return the HTTP status, if C(text) looks like a line of an access log."""
    matches = (pattern.search(text) for pattern in _STATUSES)
    return next((int(match[1]) for match in matches if match), None)


def request_id(text: str) -> str | None:
    """Return the id of the request that C(text) is about, by which servers join lines that they log apart."""
    match = _REQUEST_ID.search(text)
    return (match[1] or match[2]) if match else None


def user(text: str) -> str | None:
    """Return the first UUID in C(text), in lower case, that is not the request's: lines of a callback name no other."""
    request = str(request_id(text)).lower()
    return next((found for found in map(str.lower, _UUID.findall(text)) if found != request), None)


def user_agent(text: str) -> str:
    """Return what a line of an access log tells of the program that called; empty if it does not."""
    match = _USER_AGENT.search(text)
    return (match[1] or match[2] or "") if match else ""


def tool(agent: str) -> str:
    """Name the tool, monitor or browser that a User-Agent is of; empty if it may be an agent's."""
    match = _TOOL.search(agent) or _BROWSER.match(agent)
    return (match[1] or "a browser") if match else ""


def is_error(text: str, priority: int) -> bool:
    """Say whether a line is one of an error, by its syslog priority or its words."""
    return priority <= 3 or _ERROR.search(text) is not None


def is_restart(text: str) -> bool:
    """Say whether systemd restarts the unit after it ended by itself."""
    return _RESTART.search(text) is not None


def is_given_up(text: str) -> bool:
    """Say whether systemd starts the unit no more, since it was started too often in too short a time."""
    return _GIVEN_UP.search(text) is not None


def names_request(text: str) -> bool:
    """Say whether C(text) names a request: an HTTP method, or a path of two parts at least."""
    return _REQUEST.search(text) is not None


def request_of(text: str) -> tuple[str, str]:
    """Return the method and the path, without query and final slash, of the request that a line names, or ("", "")."""
    match = _REQUEST_LINE.search(text)
    return (match[1], match[2].rstrip("/") or "/") if match else ("", "")


def is_disk_full(text: str) -> bool:
    """Say whether C(text) complains of a full disk."""
    return not {"SQLITE_FULL", "ENOSPC"}.isdisjoint(codes(text))


def is_stack_frame(text: str) -> bool:
    """Say whether a line is a frame of an error's stack, which names files, not requests."""
    return _FRAME.match(text) is not None
