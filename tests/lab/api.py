# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback API on the Pi: a Next.js route over a real SQLite database, with Prisma-like messages in its log.

Its constraint and read-only failures are SQLite's own. Messages follow Prisma 5's; each line becomes one journal entry
of priority 6, as journald does with what a service writes to its standard output and error.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab.state import LabState, Scenario

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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def not_found() -> web.Response:
    """Give the page that Next.js answers where it has no route."""
    return web.Response(status=404, text=NOT_FOUND_PAGE, content_type="text/html")


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


def open_database(scenario: Scenario, state: LabState) -> sqlite3.Connection:
    """Make the database of one run, with the scenario's users in it and its foreign keys enforced."""
    if state.directory:
        path = state.directory / "api.sqlite"
        path.unlink(missing_ok=True)
    database = sqlite3.connect(path if state.directory else ":memory:", isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    database.execute('CREATE TABLE "User" (id TEXT PRIMARY KEY)')
    database.execute('CREATE TABLE "Session" (id TEXT PRIMARY KEY, type TEXT, "userId" TEXT REFERENCES "User" (id))')
    database.executemany('INSERT INTO "User" VALUES (?)', [(user,) for user in scenario["api"]["users"]])
    if scenario["api"]["database"] == "readonly":
        database.execute("PRAGMA query_only = ON")
    return database


class _PrismaError(Exception):
    """A database failure: C(code) is Prisma's, if it has one, and C(log) the lines that the app logs."""

    def __init__(self, user: str, kind: str, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code
        end = f"{{ code: '{code}', clientVersion: '5.22.0' }}" if code else "{ clientVersion: '5.22.0' }"
        self.log = _FAILURE.format(user=user, kind=kind, text=text, end=end).splitlines()


class _Api:
    """The route's state: the scenario's API part, the key it was started with, its database."""

    def __init__(self, scenario: Scenario, state: LabState) -> None:
        self._options: dict[str, Any] = scenario["api"]
        self._state = state
        keys = {"right": state.service_key, "missing": "", "other": secrets.token_urlsafe(24)}
        self._key = keys[self._options["key"]]
        self._database = open_database(scenario, state)

    async def close(self, _app: web.Application) -> None:
        self._database.close()

    @web.middleware
    async def logged(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 404 as Next.js does, and log the request if this app logs any."""
        begun = time.monotonic()
        try:
            answer = await handler(request)
        except web.HTTPNotFound:
            answer = not_found()
        if self._options["logs_requests"]:
            took = round((time.monotonic() - begun) * 1000)
            self._state.journal(f"{request.method} {request.path} {answer.status} in {took}ms")
        return answer

    async def any_method(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to the route, in the order of its checks: method, key, body, database."""
        if self._options["state"] == "hung":
            await asyncio.Event().wait()
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        key = request.headers.get(KEY_HEADER, "")
        if not key or not self._key:
            return web.json_response({"error": "Unauthorized"}, status=401)
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return web.json_response({"error": "Forbidden"}, status=403)
        try:
            body = await request.json()
        except ValueError:
            body = None
        issues = invalid_fields(body)
        if issues:
            return web.json_response({"error": "Invalid request body", "issues": issues}, status=400)
        try:
            return web.json_response({"id": self._create(body["type"], body["userId"])}, status=201)
        except _PrismaError as error:
            for line in error.log:
                self._state.journal(line)
            answer = {"error": "Failed to create session"} | ({"code": error.code} if error.code else {})
            return web.json_response(answer, status=500)

    def _create(self, kind: str, user: str) -> str:
        """Insert a session and give its id; raises C(_PrismaError)."""
        if self._options["database"] == "down":
            text = "Can't reach database server at `localhost:5432`"
            raise _PrismaError(user, "PrismaClientInitializationError", text, "P1001")
        session = str(uuid.uuid4())
        try:
            self._database.execute('INSERT INTO "Session" VALUES (?, ?, ?)', (session, kind, user))
        except sqlite3.IntegrityError as error:
            text = "Foreign key constraint violated: `foreign key`"
            raise _PrismaError(user, "PrismaClientKnownRequestError", text, "P2003") from error
        except sqlite3.OperationalError as error:
            detail = f"extended_code: {error.sqlite_errorcode}, message: Some({json.dumps(str(error))})"
            text = f"Error occurred during query execution: ConnectorError(QueryError(SqliteError {{ {detail} }}))"
            raise _PrismaError(user, "PrismaClientUnknownRequestError", text) from error
        return session


def make_app(scenario: Scenario, state: LabState) -> web.Application:
    """Make the API of the scenario; the service key is the state's, unless the scenario's API has another or none."""
    api = _Api(scenario, state)
    app = web.Application(middlewares=[api.logged])
    app.router.add_route("*", scenario["api"]["route"], api.any_method)
    app.on_cleanup.append(api.close)
    return app
