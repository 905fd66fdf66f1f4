# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback API of the lab: a Next.js route over L(lab.sessions), whose log is the Pi's journal."""

from __future__ import annotations

import asyncio
import email.utils
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab import sessions
from lab.sessions import KEY_HEADER
from lab.state import LabState, Scenario

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def not_found() -> web.Response:
    """Give the page that Next.js answers where it has no route."""
    return web.Response(status=404, text=sessions.NOT_FOUND_PAGE, content_type="text/html")


def open_database(scenario: Scenario, state: LabState) -> sqlite3.Connection:
    """Make the database of one run, with the scenario's users in it."""
    path = ":memory:"
    if state.directory:
        file = state.directory / "api.sqlite"
        file.unlink(missing_ok=True)
        path = str(file)
    database = sessions.open_database(path, scenario["api"]["users"])
    if scenario["api"]["database"] == "readonly":
        database.execute("PRAGMA query_only = ON")
    return database


class _Api:
    """The route's state: the scenario's API part, the key it was started with, its database."""

    def __init__(self, scenario: Scenario, state: LabState) -> None:
        self._options: dict[str, Any] = scenario["api"]
        self._clock_offset: float = scenario["pi"]["clock_offset"]
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
        # As every server does, by its host's clock; the edge passes it on.
        answer.headers["Date"] = email.utils.formatdate(time.time() + self._clock_offset, usegmt=True)
        if self._options["logs_requests"]:
            took = round((time.monotonic() - begun) * 1000)
            self._state.journal(f"{request.method} {request.path} {answer.status} in {took}ms")
        return answer

    async def any_method(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to the route."""
        if self._options["state"] == "hung":
            await asyncio.Event().wait()
        given = request.headers.get(KEY_HEADER, "")
        answer = sessions.answer(request.method, given, self._key, await request.read(), self._create)
        for line in answer.log:
            self._state.journal(line)
        if answer.body is None:
            return web.Response(status=answer.status, headers={"Allow": "POST"})
        return web.json_response(answer.body, status=answer.status)

    def _create(self, kind: str, user: str) -> str:
        if self._options["database"] == "down":
            text = "Can't reach database server at `localhost:5432`"
            raise sessions.PrismaError(user, "PrismaClientInitializationError", text, "P1001")
        return sessions.create(self._database, kind, user)


def make_app(scenario: Scenario, state: LabState) -> web.Application:
    """Make the API of the scenario; the service key is the state's, unless the scenario's API has another or none."""
    api = _Api(scenario, state)
    app = web.Application(middlewares=[api.logged])
    app.router.add_route("*", scenario["api"]["route"], api.any_method)
    app.on_cleanup.append(api.close)
    return app
