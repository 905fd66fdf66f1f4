# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge, the inspector and the callback API, asked over real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import time
from pathlib import Path

import aiohttp
import pytest

from lab import api, daemon, inspector
from lab.pi import closed_port
from lab.scenario import load
from lab.state import LabState

KEY = "the-right-key"
USER = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11"
NOBODY = "00000000-0000-0000-0000-000000000000"
ROUTE = "/api/internal/sessions"
HEADERS = {api.KEY_HEADER: KEY}
VALID = {"type": "free_practice", "userId": USER}


class Parts:
    """The three parts of one scenario, and a client."""

    def __init__(self, state: LabState, log: list[str], client: aiohttp.ClientSession) -> None:
        self.state, self.log, self.client = state, log, client

    async def ask(self, method: str = "GET", path: str = ROUTE, at: str = "edge", **options) -> tuple:
        """Give status, headers and text of an answer."""
        async with self.client.request(method, self.state.urls[at] + path, allow_redirects=False, **options) as answer:
            return answer.status, answer.headers, await answer.text()


def play(folder: Path, more: str, act):
    """Start the parts of a scenario, and give what C(act(parts)) gives."""

    async def run():
        path = folder / "some.yml"
        path.write_text(
            f"name: some\ntitle: Some\nexpected: {{verdict: healthy, state: healthy}}\n{more}", encoding="utf-8"
        )
        scenario = load(path, time.time())
        log: list[str] = []
        state = LabState(
            now=time.time(), service_key=KEY, directory=folder, journal=lambda text, priority=6: log.append(text)
        )
        async with contextlib.AsyncExitStack() as stack:
            if scenario["api"]["state"] == "down":
                port = stack.enter_context(closed_port()).getsockname()[1]
            else:
                port = await daemon.serve(api.make_app(scenario, state), stack)
            state.urls["api"] = f"http://127.0.0.1:{port}"
            _unused, state.urls["edge"] = await daemon.start_edge(scenario, state, stack)
            if scenario["edge"]["inspector"]:
                port = await daemon.serve(inspector.make_app(scenario, state), stack)
                state.urls["inspector"] = f"http://127.0.0.1:{port}"
            client = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
            return await act(Parts(state, log, client))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("request_options", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "GET", "headers": HEADERS}, 405),
        ({"method": "POST", "json": VALID}, 401),
        ({"method": "POST", "json": VALID, "headers": {api.KEY_HEADER: "wrong"}}, 403),
        ({"method": "POST", "json": {}, "headers": {api.KEY_HEADER: "wrong"}}, 403),
        ({"method": "POST", "json": {}, "headers": HEADERS}, 400),
        ({"method": "POST", "json": [1], "headers": HEADERS}, 400),
        ({"method": "POST", "data": b"{not json \xff", "headers": HEADERS}, 400),
        ({"method": "POST", "json": {**VALID, "userId": 7}, "headers": HEADERS}, 400),
        ({"method": "POST", "json": VALID, "headers": HEADERS}, 201),
        ({"method": "POST", "json": {**VALID, "userId": NOBODY}, "headers": HEADERS}, 500),
        ({"method": "POST", "path": "/api/other", "json": VALID, "headers": HEADERS}, 404),
    ],
)
def test_the_route_checks_method_key_body_and_database_in_this_order(tmp_path, request_options, status):
    async def act(parts):
        answered, headers, _unused = await parts.ask(**request_options)
        return answered, headers, parts.log

    answered, headers, log = play(tmp_path, "", act)

    assert answered == status
    assert "ngrok-error-code" not in headers
    path = request_options.get("path", ROUTE)
    assert log[-1].startswith(f"{request_options['method']} {path} {status} in ")
    assert (headers.get("Allow") == "POST") == (status == 405)


def test_an_unknown_user_is_a_real_constraint_failure_that_is_logged_as_prisma_would(tmp_path):
    async def act(parts):
        _unused, _unused, text = await parts.ask("POST", json={**VALID, "userId": NOBODY}, headers=HEADERS)
        return text, parts.log

    text, log = play(tmp_path, "api: {logs_requests: false}\n", act)

    assert '"P2003"' in text
    assert [line for line in log if "P2003" in line] == ["{ code: 'P2003', clientVersion: '5.22.0' }"]
    assert NOBODY in log[0]
    assert all("\n" not in line for line in log)


def test_only_errors_are_logged_where_the_app_logs_no_requests(tmp_path):
    async def act(parts):
        status, _unused, _unused = await parts.ask("POST", json=VALID, headers=HEADERS)
        return status, parts.log

    assert play(tmp_path, "api: {logs_requests: false}\n", act) == (201, [])


@pytest.mark.parametrize(
    ("kind", "message"), [("down", "Can't reach database server"), ("readonly", "attempt to write a readonly database")]
)
def test_a_broken_database_ends_in_500(tmp_path, kind, message):
    async def act(parts):
        status, _unused, _unused = await parts.ask("POST", json=VALID, headers=HEADERS)
        return status, parts.log

    status, log = play(tmp_path, f"api: {{database: {kind}}}\n", act)

    assert status == 500
    assert any(message in line for line in log)
    assert any("P1001" in line for line in log) == (kind == "down")


@pytest.mark.parametrize(("key", "status"), [("missing", 401), ("other", 403)])
def test_an_api_with_another_key_refuses_the_agents(tmp_path, key, status):
    async def act(parts):
        return await parts.ask("POST", json=VALID, headers=HEADERS)

    assert play(tmp_path, f"api: {{key: {key}}}\n", act)[0] == status


def test_a_hung_api_never_answers(tmp_path):
    async def act(parts):
        with pytest.raises(TimeoutError):
            await parts.ask("GET", at="api", timeout=aiohttp.ClientTimeout(total=0.3))

    play(tmp_path, "api: {state: hung}\n", act)


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ("", 405, None),
        ("edge: {state: offline}\n", 404, "ERR_NGROK_3200"),
        ("edge: {state: upstream_refused}\n", 502, "ERR_NGROK_8012"),
        ("api: {state: down}\n", 502, "ERR_NGROK_8012"),
        ("edge: {state: quota}\n", 403, "ERR_NGROK_727"),
        ("edge: {state: interstitial}\n", 405, None),
        ("edge: {state: app_404}\n", 404, None),
        ("edge: {state: oauth}\n", 302, None),
    ],
)
def test_the_edge_answers_as_its_state_says(tmp_path, more, status, code):
    answered, headers, _unused = play(tmp_path, more, lambda parts: parts.ask())

    assert (answered, headers.get("ngrok-error-code")) == (status, code)
    assert headers.get("Location", "").startswith("https://idp.ngrok.com/") == (status == 302)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"User-Agent": "Mozilla/5.0"}, 200), ({"User-Agent": "Mozilla/5.0", "ngrok-skip-browser-warning": "1"}, 405)],
)
def test_only_a_browser_that_does_not_skip_it_sees_the_interstitial(tmp_path, headers, status):
    answered, sent, _unused = play(tmp_path, "edge: {state: interstitial}\n", lambda parts: parts.ask(headers=headers))

    assert answered == status
    assert (sent.get("ngrok-error-code") == "ERR_NGROK_6024") == (status == 200)


@pytest.mark.parametrize(
    ("state", "error"), [("tls_error", aiohttp.ClientConnectorSSLError), ("dns", aiohttp.ClientConnectorDNSError)]
)
def test_an_edge_without_tls_or_name_cannot_be_asked(tmp_path, state, error):
    async def act(parts):
        assert parts.state.urls["edge"].startswith("https://")
        with pytest.raises(error):
            await parts.ask()

    play(tmp_path, f"edge: {{state: {state}}}\n", act)


INSPECTED = (
    "edge: {inspector: {since: -1d, requests: [{at: -20h}, {at: -2h, method: GET, path: /, status: 200}, {at: -2d}]}}\n"
)


def test_the_inspector_lists_what_was_forwarded_in_ngroks_shape_newest_first(tmp_path):
    async def act(parts):
        await parts.ask("POST", json={}, headers={**HEADERS, "User-Agent": "agent/1"})
        async with parts.client.get(parts.state.urls["inspector"] + "/api/requests/http") as answer:
            return await answer.json()

    listed = play(tmp_path, INSPECTED, act)

    newest, *earlier = listed["requests"]
    assert [item["response"]["status_code"] for item in earlier] == [200, 201]
    assert (newest["request"]["method"], newest["request"]["uri"]) == ("POST", ROUTE)
    assert newest["request"]["headers"]["User-Agent"] == ["agent/1"]
    assert newest["response"]["status"] == "400 Bad Request"
    raw = base64.b64decode(newest["request"]["raw"])
    assert raw.startswith(b"POST /api/internal/sessions HTTP/1.1\r\n")
    assert raw.endswith(b"\r\n\r\n{}")
    assert b"User-Agent: agent/1\r\n" in raw
    times = [datetime.datetime.fromisoformat(item["start"]) for item in listed["requests"]]
    assert times == sorted(times, reverse=True)
    assert all(moment.utcoffset() is not None for moment in times)


def test_the_inspector_sees_nothing_that_the_edge_answered_itself(tmp_path):
    async def act(parts):
        await parts.ask()
        return parts.state.requests

    assert play(tmp_path, "edge: {state: offline}\n", act) == []


def test_the_inspector_names_the_tunnel_and_finds_one_request(tmp_path):
    async def act(parts):
        _unused, _unused, tunnels = await parts.ask(path="/api/tunnels", at="inspector")
        async with parts.client.get(parts.state.urls["inspector"] + "/api/requests/http?limit=1") as answer:
            (only,) = (await answer.json())["requests"]
        async with parts.client.get(parts.state.urls["inspector"] + only["uri"]) as answer:
            return tunnels, parts.state.urls["edge"], only == await answer.json()

    tunnels, public, same = play(tmp_path, INSPECTED, act)

    assert f'"public_url": "{public}"' in tunnels
    assert same
