# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answer to a GET of the callback route says of the tunnel."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import Exchange, parse_url
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import tunnel

AMPLE_S = 20.0
TARGET = parse_url("https://proto-trainer.ngrok.io/api/internal/sessions", "v")


def collect(url: object, seconds: float = AMPLE_S, **options: Any) -> dict[str, Any]:
    return tunnel.collect({"callback_url": url, **options}, time.monotonic() + seconds)


def judged(**exchange: Any) -> dict[str, Any]:
    return tunnel.judge(Exchange(started_at=0.0, **exchange), TARGET)


def test_405_to_a_get_is_healthy(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (405, {}, b""))
    record = collect(f"{server.url}/api/internal/sessions", probe_id="7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11")
    assert (record["layer"], record["state"], record["limits"]) == ("tunnel", "healthy", [])
    assert record["signals"]["reachable"] is True
    assert record["signals"].keys() == tunnel.SIGNALS.keys()
    assert record["events"][0]["self"] is True
    assert record["probes"][0].keys() == {"since", "until", "what", "status"}
    assert record["probes"][0]["status"] == 405
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/api/internal/sessions")
    assert request.headers["user-agent"].startswith("voiceops.livekit/")
    assert request.headers["x-probe-id"] == "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11"


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 405, 415, 422])
def test_whatever_a_route_says_to_a_get_shows_that_it_is_there(status: int) -> None:
    found = judged(status=status)
    assert (found["reachable"], found["route_exists"], found["error_code"]) == (True, True, None)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "ERR_NGROK_3200"), (403, "ERR_NGROK_727"), (502, "ERR_NGROK_8012"), (405, "ERR_NGROK_1")]
)
def test_the_header_of_the_edge_decides_and_not_the_status(status: int, code: str) -> None:
    found = judged(status=status, headers={"ngrok-error-code": code})
    assert (found["reachable"], found["error_code"], found["route_exists"]) == (False, code, None)


def test_an_interstitial_page_is_no_app() -> None:
    page = "<!DOCTYPE html><p>You are about to visit … (ERR_NGROK_6024)"
    found = judged(status=200, headers={"content-type": "text/html"}, body=page)
    assert (found["reachable"], found["error_code"], found["html"]) == (False, "ERR_NGROK_6024", True)


def test_a_code_that_an_app_mentions_is_not_the_edges() -> None:
    assert (
        judged(status=400, headers={"content-type": "application/json"}, body='"ERR_NGROK_3200"')["reachable"] is True
    )


def test_404_without_a_code_is_the_apps_and_leaves_open_whether_the_route_takes_a_post() -> None:
    found = judged(status=404, headers={"content-type": "text/html"}, body="<html>This page could not be found.")
    assert (found["reachable"], found["route_exists"], found["error_code"]) == (None, None, None)


def test_a_redirect_to_an_identity_provider_names_it() -> None:
    found = judged(status=302, headers={"location": "https://idp.ngrok.com/oauth2?x=1"})
    assert (found["reachable"], found["redirect_host"], found["route_exists"]) == (False, "idp.ngrok.com", None)


@pytest.mark.parametrize(
    "location", ["/login", "https://proto-trainer.ngrok.io/api/internal/sessions/", "", "https://[::1/"]
)
def test_a_redirect_within_the_app_leaves_it_open(location: str) -> None:
    found = judged(status=308, headers={"location": location})
    assert (found["reachable"], found["redirect_host"]) == (None, None)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_error_of_nobody_in_particular_leaves_it_open(status: int) -> None:
    found = judged(status=status)
    assert (found["reachable"], found["route_exists"]) == (None, None)


@pytest.mark.parametrize(
    ("exchange", "reachable"),
    [
        ({"failure": "dns", "dns_ok": False}, False),
        ({"failure": "dns", "dns_ok": None}, None),
        ({"failure": "refused", "tcp_ok": False}, False),
        ({"failure": "unreachable"}, None),
        ({"failure": "tls", "tls_ok": False, "tls_error": "expired"}, False),
        ({"failure": "tls", "tls_ok": None, "tls_error": "no_ca_store"}, None),
        ({"failure": "protocol"}, False),
        ({"failure": "timeout", "ended_at": 10.0}, False),
        ({"failure": "timeout", "ended_at": 0.5}, None),
    ],
)
def test_only_a_failure_that_is_surely_theirs_counts(exchange: dict[str, Any], reachable: bool | None) -> None:
    found = judged(**exchange)
    assert (found["reachable"], found["failure"]) == (reachable, exchange["failure"])


def test_what_is_open_says_so_in_its_limits(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (503, {}, b""))
    record = collect(server.url)
    assert record["state"] == "unknown"
    assert "stays open" in record["limits"][0]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    record = collect(f"http://127.0.0.1:{port}/")
    assert (record["state"], record["signals"]["failure"]) == ("faulty", "refused")
    assert "refused" in record["summary"]


def test_a_proxy_that_is_not_used_makes_a_failure_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    record = collect("http://gone.example/")
    assert (record["state"], record["signals"]["reachable"]) == ("unknown", None)
    assert "proxy" in record["limits"][0]


@pytest.mark.parametrize("url", [None, "", "proto-trainer.ngrok.io", 3])
def test_a_bad_url_is_unknown_and_names_the_variable(url: object) -> None:
    record = collect(url)
    assert record["state"] == "unknown"
    assert record["summary"].startswith("voiceops_callback_url: expected a URL")


def test_no_secret_of_the_url_is_shown(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (405, {}, b""))
    record = collect(f"{server.url}/a?token=abcdef0123456789abcdef")
    assert "abcdef0123456789" not in str(record)
