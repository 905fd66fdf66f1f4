# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback API decides, over a real SQLite database: the lab serves it, and so does a unit on a real Pi.

Its constraint, read-only and disk-full failures are SQLite's own. Messages follow Prisma 5's; each line becomes one
journal entry of priority 6, as journald does with what a service writes to its standard output and error. Standard
library only: a real Pi has no other.
"""

from __future__ import annotations

import hmac
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

KEY_HEADER = "X-Internal-Service-Key"
SESSION_TYPES = ("free_practice", "scenario")
NOT_FOUND_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><title>404: This page could not be found.</title></head>'
    "<body><h1>404</h1><h2>This page could not be found.</h2></body></html>"
)
_FAILURE = """\
[internal/sessions] session creation failed for user {user}
{kind}:
Invalid `prisma.session.create()` invocation:
{text}
{end}"""


class Answer(NamedTuple):
    """What the API answers to a request: a status, a JSON body or None, and the lines that it logs."""

    status: int
    body: dict[str, Any] | None
    log: list[str]


class PrismaError(Exception):
    """A database failure: C(code) is Prisma's, if it has one, and C(log) the lines that the app logs."""

    def __init__(self, user: str, kind: str, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code
        end = f"{{ code: '{code}', clientVersion: '5.22.0' }}" if code else "{ clientVersion: '5.22.0' }"
        self.log = _FAILURE.format(user=user, kind=kind, text=text, end=end).splitlines()


def invalid_fields(body: Any) -> list[dict[str, Any]]:
    """Give what is wrong with a request's body, in the shape of zod's issues; empty if it is valid."""
    fields = body if isinstance(body, dict) else {}
    issues = []
    if fields.get("type") not in SESSION_TYPES:
        message = f"Invalid enum value. Expected {' | '.join(map(repr, SESSION_TYPES))}"
        issues.append({"code": "invalid_enum_value", "path": ["type"], "message": message})
    try:
        uuid.UUID(fields.get("userId"))
    except (ValueError, TypeError, AttributeError):
        issues.append({"code": "invalid_string", "path": ["userId"], "message": "Invalid uuid"})
    return issues


def open_database(path: str, users: Iterable[str]) -> sqlite3.Connection:
    """Open the database, with C(users) in it and its foreign keys enforced; make its tables where it is new."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    database.execute('CREATE TABLE IF NOT EXISTS "User" (id TEXT PRIMARY KEY)')
    reference = '"userId" TEXT REFERENCES "User" (id)'
    database.execute(f'CREATE TABLE IF NOT EXISTS "Session" (id TEXT PRIMARY KEY, type TEXT, {reference})')
    database.executemany('INSERT OR IGNORE INTO "User" VALUES (?)', [(user,) for user in users])
    return database


def create(database: sqlite3.Connection, kind: str, user: str) -> str:
    """Insert a session and give its id; raises C(PrismaError)."""
    session = str(uuid.uuid4())
    try:
        database.execute('INSERT INTO "Session" VALUES (?, ?, ?)', (session, kind, user))
    except sqlite3.IntegrityError as error:
        text = "Foreign key constraint violated: `foreign key`"
        raise PrismaError(user, "PrismaClientKnownRequestError", text, "P2003") from error
    except sqlite3.OperationalError as error:
        detail = f"extended_code: {error.sqlite_errorcode}, message: Some({json.dumps(str(error))})"
        text = f"Error occurred during query execution: ConnectorError(QueryError(SqliteError {{ {detail} }}))"
        raise PrismaError(user, "PrismaClientUnknownRequestError", text) from error
    return session


def answer(method: str, given: str, key: str, content: bytes, make: Callable[[str, str], str]) -> Answer:
    """Answer one request to the route, in the order of its checks: method, key, body, database.

    C(given) is the request's key, C(key) the API's own, C(make) makes a session of a type for a user and gives its id.
    """
    if method != "POST":
        return Answer(405, None, [])
    if not given or not key:
        return Answer(401, {"error": "Unauthorized"}, [])
    if not hmac.compare_digest(given.encode(), key.encode()):
        return Answer(403, {"error": "Forbidden"}, [])
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    issues = invalid_fields(body)
    if issues:
        return Answer(400, {"error": "Invalid request body", "issues": issues}, [])
    try:
        return Answer(201, {"id": make(body["type"], body["userId"])}, [])
    except PrismaError as error:
        told = {"error": "Failed to create session"} | ({"code": error.code} if error.code else {})
        return Answer(500, told, error.log)
