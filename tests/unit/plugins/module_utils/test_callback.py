# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of the callback API, and what its answers mean."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import Exchange, parse_url
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import callback
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact

AMPLE_S = 20.0
KEY = "the-right-key-4711"
TARGET = parse_url("https://proto-trainer.ngrok.io/api/internal/sessions", "v")


def collect(url: object, seconds: float = AMPLE_S, **options: Any) -> dict[str, Any]:
    given = {"callback_url": url, "callback_key": KEY, "probe_id": "probe-1", **options}
    return callback.collect(given, time.monotonic() + seconds)


def api(request: Any) -> tuple[int, dict[str, str], bytes]:
    """The app: checks the key, then the body, then the user."""
    if request.headers.get("x-internal-service-key") != KEY:
        return 401, {}, b'{"error":"unauthorized"}'
    if "userId" not in json.loads(request.body):
        return 400, {}, b'{"error":"invalid"}'
    return 500, {}, b'{"error":"Foreign key constraint violated","code":"P2003"}'


def judged(right: dict[str, Any] | None, wrong: dict[str, Any] | None) -> dict[str, Any]:
    given = {callback.RIGHT_KEY: right, callback.WRONG_KEY: wrong}
    exchanges = {name: Exchange(started_at=0.0, **fields) for name, fields in given.items() if fields is not None}
    return callback.judge(exchanges, TARGET, "validate")


def test_a_healthy_api_is_asked_twice_and_nothing_is_written(serve: Callable[..., Any]) -> None:
    server = serve(api)
    record = collect(f"{server.url}/api/internal/sessions")
    signals = record["signals"]
    assert (record["state"], record["limits"]) == ("healthy", [])
    assert (signals["status"], signals["wrong_key_status"], signals["fake_user_status"]) == (400, 401, None)
    assert (signals["key_accepted"], signals["wrong_key_rejected"], signals["route_exists"]) == (True, True, True)
    assert signals.keys() == callback.SIGNALS.keys()
    assert [(request.method, request.body) for request in server.requests] == [("POST", b"{}")] * 2
    assert {request.headers["x-probe-id"] for request in server.requests} == {"probe-1"}
    assert all(request.headers["user-agent"].startswith("voiceops.livekit/") for request in server.requests)


def test_both_are_asked_at_once(serve: Callable[..., Any]) -> None:
    together = threading.Barrier(2, timeout=AMPLE_S)

    def both(request: Any) -> tuple[int, dict[str, str], bytes]:
        together.wait()
        return api(request)

    assert collect(serve(both).url)["state"] == "healthy"


def test_the_windows_and_events_are_ours(serve: Callable[..., Any]) -> None:
    before = time.time()
    record = collect(serve(api).url)
    assert len(record["probes"]) == len(record["events"]) == 2
    assert all(event["self"] for event in record["events"])
    assert all(probe["since"] <= probe["until"] for probe in record["probes"])
    assert sorted(probe["status"] for probe in record["probes"]) == [400, 401]
    assert record["probes"][0]["since"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))


def test_the_fake_user_is_the_incidents(serve: Callable[..., Any]) -> None:
    server = serve(api)
    record = collect(server.url, callback_probe="fake_user", synthetic_users=["11111111-1111-1111-1111-111111111111"])
    bodies = [json.loads(request.body) for request in server.requests]
    assert {"type": "free_practice", "userId": "11111111-1111-1111-1111-111111111111"} in bodies
    assert (record["signals"]["fake_user_status"], record["signals"]["prisma_code"]) == (500, "P2003")
    assert (record["state"], record["signals"]["key_accepted"]) == ("healthy", True)


def test_without_a_synthetic_user_it_is_the_all_zero_one(serve: Callable[..., Any]) -> None:
    server = serve(api)
    collect(server.url, callback_probe="fake_user")
    assert any(callback.FAKE_USER.encode() in request.body for request in server.requests)


def test_another_header_carries_the_key_if_wanted(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (401, {}, b""))
    collect(server.url, callback_key_header="X-Other-Key")
    assert KEY in [request.headers.get("x-other-key") for request in server.requests]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_a_fault(serve: Callable[..., Any], status: int) -> None:
    record = collect(serve(lambda _request: (status, {}, b"")).url)
    assert (record["state"], record["signals"]["key_accepted"]) == ("faulty", False)
    assert record["signals"]["wrong_key_rejected"] is True


def test_a_refusal_by_the_edge_says_nothing_of_the_key() -> None:
    edge = {"status": 403, "headers": {"ngrok-error-code": "ERR_NGROK_727"}}
    found = judged(edge, edge)
    assert (found["key_accepted"], found["wrong_key_rejected"], found["answered_by_app"]) == (None, None, False)
    assert found["error_code"] == "ERR_NGROK_727"


def test_an_api_that_checks_the_body_first_leaves_the_key_open() -> None:
    found = judged({"status": 400}, {"status": 400})
    assert (found["key_accepted"], found["wrong_key_rejected"], found["route_exists"]) == (None, None, True)


@pytest.mark.parametrize("wrong", [None, 429, 500, 503, 200, 404])
def test_a_complaint_of_the_body_shows_nothing_unless_a_wrong_key_was_refused(wrong: int | None) -> None:
    found = judged({"status": 400}, wrong and {"status": wrong})
    assert (found["status"], found["key_accepted"]) == (400, None)


def test_a_wrong_key_that_was_not_looked_at_leaves_ours_open(serve: Callable[..., Any]) -> None:
    def limit(request: Any) -> tuple[int, dict[str, str], bytes]:
        return (429, {}, b"") if request.headers["x-internal-service-key"] != KEY else api(request)

    record = collect(serve(limit).url)
    assert (record["state"], record["signals"]["key_accepted"]) == ("unknown", None)
    assert "a wrong key was not seen to be refused, so it is open whether the API took ours" in record["limits"]


def test_an_api_that_lets_anyone_in_is_told() -> None:
    found = judged({"status": 201}, {"status": 201})
    assert (found["key_accepted"], found["wrong_key_rejected"]) == (True, False)


@pytest.mark.parametrize("status", [404, 405])
def test_no_route_for_post(status: int) -> None:
    found = judged({"status": status}, {"status": status})
    assert (found["route_exists"], found["key_accepted"]) == (False, None)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 302])
def test_errors_leave_the_key_open(status: int) -> None:
    found = judged({"status": status}, {"status": status})
    assert (found["key_accepted"], found["route_exists"]) == (None, None)


def test_a_redirect_elsewhere_is_not_the_app() -> None:
    away = {"status": 302, "headers": {"location": "https://idp.ngrok.com/"}}
    assert judged(away, away)["answered_by_app"] is False


def test_an_error_in_answer_to_us_is_no_evidence(serve: Callable[..., Any]) -> None:
    record = collect(serve(lambda _request: (500, {}, b"P1001")).url)
    assert (record["state"], record["signals"]["prisma_code"]) == ("unknown", "P1001")
    assert any("says nothing of the user's call" in limit for limit in record["limits"])


def test_without_a_key_only_the_wrong_one_is_tried(serve: Callable[..., Any]) -> None:
    server = serve(api)
    record = collect(server.url, callback_key=None)
    assert (record["state"], len(server.requests)) == ("unknown", 1)
    assert record["signals"]["wrong_key_rejected"] is True
    assert redact(record["limits"][0]).startswith("expected the service key in voiceops_callback_key, got nothing")


def test_a_hung_api_ends_with_the_deadline(listen: Callable[..., int]) -> None:
    def hold(connection: Any) -> None:
        while connection.recv(65536):
            pass

    record = collect(f"http://127.0.0.1:{listen(hold)}/", 0.3)
    assert (record["state"], record["signals"]["status"]) == ("unknown", None)
    assert len([limit for limit in record["limits"] if "timeout" in limit]) == 2


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        (None, {}, "voiceops_callback_url: expected a URL"),
        ("http://a/", {"callback_key": "line\nbreak"}, "expected printable ASCII.* in voiceops_callback_key, got 10"),
        ("http://a/", {"callback_key_header": "no header:"}, "voiceops_callback_key_header: expected the name"),
    ],
)
def test_bad_options_are_unknown_and_name_the_variable(url: str | None, options: dict[str, Any], expected: str) -> None:
    record = collect(url, **options)
    assert record["state"] == "unknown"
    assert re.match(expected, redact(record["summary"]))


def test_the_key_is_nowhere_in_the_record(serve: Callable[..., Any]) -> None:
    def echo(request: Any) -> tuple[int, dict[str, str], bytes]:
        return 400, {"X-Echo": KEY}, str(request.headers).encode()

    assert KEY not in str(collect(serve(echo).url))
    assert KEY not in str(collect(f"http://127.0.0.1:1/{KEY}"))
