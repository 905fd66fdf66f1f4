# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ngrok's inspector: the agent's local API that lists tunnels and the requests it forwarded.

Shapes follow https://ngrok.com/docs/agent/api: newest request first, header values as lists, C(raw) the whole message
in Base64, C(start) with the host's zone, C(duration) in nanoseconds.
"""

from __future__ import annotations

import base64
import datetime
import http
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from lab.state import LabState, Scenario

TUNNEL = "command_line"
LISTED = 50
_RATES = {"rate1": 0, "rate5": 0, "rate15": 0, "p50": 0, "p90": 0, "p95": 0, "p99": 0}


def _headers(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name.title(): [value] for name, value in headers.items()}


def _raw(first_line: str, headers: Mapping[str, str], body: bytes) -> str:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return base64.b64encode("\r\n".join(lines).encode() + body).decode()


def exchange(
    at: float,
    duration: float,
    request: tuple[str, str, Mapping[str, str], bytes],
    response: tuple[int, Mapping[str, str], bytes],
) -> dict[str, Any]:
    """Make the record of one forwarded request.

    C(at) is in epoch seconds, C(duration) in seconds; C(request) is method, path with query, headers and body;
    C(response) is status, headers and body.
    """
    method, path, request_headers, request_body = request
    status, response_headers, response_body = response
    identity = secrets.token_hex(8)
    reason = f"{status} {http.HTTPStatus(status).phrase}"
    return {
        "uri": f"/api/requests/http/{identity}",
        "id": identity,
        "tunnel_name": TUNNEL,
        "remote_addr": "203.0.113.7",
        "start": datetime.datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds"),
        "duration": round(duration * 1e9),
        "request": {
            "method": method,
            "proto": "HTTP/1.1",
            "headers": _headers(request_headers),
            "uri": path,
            "raw": _raw(f"{method} {path} HTTP/1.1", request_headers, request_body),
        },
        "response": {
            "status": reason,
            "status_code": status,
            "proto": "HTTP/1.1",
            "headers": _headers(response_headers),
            "raw": _raw(f"HTTP/1.1 {reason}", response_headers, response_body),
        },
    }


def _earlier(scenario: Scenario) -> list[dict[str, Any]]:
    """Give the scenario's own requests, oldest first, without those from before ngrok started."""
    inspector = scenario["edge"]["inspector"]
    found = []
    for item in sorted(inspector["requests"], key=lambda item: float(item["at"])):
        if item["at"] < inspector["since"]:
            continue
        headers = {"User-Agent": item["user_agent"], "Content-Type": "application/json"}
        request = (item["method"], item["path"], headers, item["body"].encode())
        found.append(exchange(item["at"], 0.087, request, (item["status"], {"Content-Type": "application/json"}, b"")))
    return found


def make_app(scenario: Scenario, state: LabState) -> web.Application:
    """Make the inspector: it lists the scenario's earlier requests and what the edge forwards while the lab runs.

    The scenario must have C(edge.inspector).
    """
    earlier = _earlier(scenario)

    async def requests(request: web.Request) -> web.Response:
        newest_first = [*reversed(state.requests), *reversed(earlier)]
        limit = request.query.get("limit", "")
        listed = newest_first[: int(limit) if limit.isdecimal() else LISTED]
        return web.json_response({"uri": "/api/requests/http", "requests": listed})

    async def one_request(request: web.Request) -> web.Response:
        for item in [*earlier, *state.requests]:
            if item["id"] == request.match_info["id"]:
                return web.json_response(item)
        raise web.HTTPNotFound

    async def tunnels(_request: web.Request) -> web.Response:
        count = len(state.requests) + len(earlier)
        public_url = scenario["edge"]["inspector"]["public_url"] or state.urls["edge"]
        tunnel = {
            "name": TUNNEL,
            "ID": "5a1e0c7d9b3f42e8",
            "uri": f"/api/tunnels/{TUNNEL}",
            "public_url": public_url,
            "proto": public_url.partition(":")[0],
            "config": {"addr": state.urls["api"], "inspect": True},
            "metrics": {"conns": {"count": count, "gauge": 0, **_RATES}, "http": {"count": count, **_RATES}},
        }
        return web.json_response({"tunnels": [tunnel], "uri": "/api/tunnels"})

    app = web.Application()
    app.router.add_get("/api/requests/http", requests)
    app.router.add_get("/api/requests/http/{id}", one_request)
    app.router.add_get("/api/tunnels", tunnels)
    return app
