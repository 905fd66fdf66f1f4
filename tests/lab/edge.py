# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public address: an ngrok-like edge in front of the callback API.

Error codes are ngrok's (https://ngrok.com/docs/errors); of the statuses, which sources give differently, it takes one.
The edge answers over plain HTTP on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from lab.api import not_found
from lab.inspector import exchange
from lab.state import LabState, Scenario

UPSTREAM_DEADLINE = aiohttp.ClientTimeout(total=30)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length", "host"}
IDENTITY_PROVIDER = "https://idp.ngrok.com/oauth2/authorize?client_id=lab&response_type=code"
_PAGE = "<!DOCTYPE html><html><head><title>ngrok</title></head><body><p>{text}</p><p>{code}</p></body></html>"
_SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)


def error_page(status: int, code: str, text: str) -> web.Response:
    """Make one of ngrok's own pages, known from an app's by the header C(ngrok-error-code)."""
    page = _PAGE.format(text=text, code=code)
    return web.Response(status=status, text=page, content_type="text/html", headers={"ngrok-error-code": code})


def refused() -> web.Response:
    """Make the page of a tunnel behind which nothing accepts connections."""
    return error_page(
        502, "ERR_NGROK_8012", "Traffic reached the ngrok agent, which could not connect to the upstream."
    )


def own_answer(edge: str, request: web.BaseRequest) -> web.Response | None:
    """Give what the edge in the state C(edge) answers by itself, or None if it forwards the request."""
    if edge == "offline":
        return error_page(404, "ERR_NGROK_3200", f"The endpoint {request.host} is offline.")
    if edge == "quota":
        return error_page(403, "ERR_NGROK_727", "The account has exceeded its limit of HTTP requests.")
    if edge == "oauth":
        return web.Response(status=302, headers={"Location": IDENTITY_PROVIDER})
    if edge == "app_404":
        return not_found()
    browser = request.headers.get("User-Agent", "").startswith("Mozilla/")
    if edge == "interstitial" and browser and "ngrok-skip-browser-warning" not in request.headers:
        return error_page(200, "ERR_NGROK_6024", "You are about to visit a site that is served for free through ngrok.")
    return None


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection that expects TLS something else."""
    writer.write(b"this is not TLS\r\n" * 8)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    writer.close()


def make_app(scenario: Scenario, state: LabState) -> web.Application:
    """Make the edge of the scenario; it forwards to C(state.urls['api']) and records into C(state.requests)."""
    edge: str = scenario["edge"]["state"]

    async def upstream(request: web.Request, body: bytes) -> web.Response:
        """Give the API's answer, or the page that ngrok shows where there is none."""
        if edge == "upstream_refused":
            return refused()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers |= {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": request.host, "X-Forwarded-Proto": "https"}
        url = state.urls["api"] + request.path_qs
        try:
            async with request.app[_SESSION].request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except aiohttp.ClientConnectorError:
            return refused()
        except (aiohttp.ClientError, TimeoutError):
            return error_page(502, "ERR_NGROK_3004", "The server returned an invalid or incomplete HTTP response.")

    async def handle(request: web.Request) -> web.Response:
        answer = own_answer(edge, request)
        if answer is not None:
            return answer
        begun, body = time.time(), await request.read()
        answer = await upstream(request, body)
        content = answer.body if isinstance(answer.body, bytes) else b""
        record = exchange(
            begun,
            time.time() - begun,
            (request.method, request.path_qs, request.headers, body),
            (answer.status, answer.headers, content),
        )
        state.requests.append(record)
        return answer

    async def client(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=UPSTREAM_DEADLINE, auto_decompress=False) as opened:
            app[_SESSION] = opened
            yield

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", handle)
    return app
