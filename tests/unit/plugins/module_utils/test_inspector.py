# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ngrok lists: which calls came through the tunnel, and which of these are nobody's but the agent's."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.layers import inspector
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

AMPLE_S = 20.0
PATH = "/api/internal/sessions"
NOW = 1770436200.0
ATTEMPT_AT = NOW - 660
ATTEMPT = {
    "at": rfc3339(ATTEMPT_AT),
    "source": "given",
    "since": rfc3339(ATTEMPT_AT - 600),
    "until": rfc3339(ATTEMPT_AT + 600),
    "precision_s": 60.0,
}
REAL, ZERO = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11", "00000000-0000-0000-0000-000000000000"


def call(
    at: float, status: int | None = 201, *, method: str = "POST", uri: str = PATH, **headers: str
) -> dict[str, Any]:
    """One item of /api/requests/http as ngrok 3 writes it."""
    body = headers.pop("body", json.dumps({"userId": REAL}))
    response = {} if status is None else {"response": {"status": f"{status} Text", "status_code": status}}
    named = {name.replace("_", "-"): [value] for name, value in {"User-Agent": "node", **headers}.items()}
    raw = base64.b64encode(f"{method} {uri} HTTP/1.1\r\nX-Internal-Service-Key: s3cr3t-4711\r\n\r\n{body}".encode())
    asked = {"method": method, "proto": "HTTP/1.1", "uri": uri, "headers": named, "raw": raw.decode()}
    return {"id": "ab", "start": rfc3339(at), "duration": 1, "request": asked, **response}


def ngrok(requests: Any, tunnels: Any = None) -> Callable[[Any], tuple[int, dict[str, str], bytes]]:
    shown = [{"name": "a", "public_url": "https://proto-trainer.ngrok.io"}] if tunnels is None else tunnels

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        listing = {"tunnels": shown} if request.path == "/api/tunnels" else {"requests": requests}
        return 200, {"Content-Type": "application/json"}, json.dumps(listing).encode()

    return answer


def collect(url: str, seconds: float = AMPLE_S, **options: Any) -> dict[str, Any]:
    given = {
        "inspector_url": url,
        "callback_url": f"https://proto-trainer.ngrok.io{PATH}",
        "attempt": ATTEMPT,
        "synthetic_users": [ZERO],
        "probes": [],
        "now": NOW,
        "clock": {"offset_ms": 0, "uncertainty_ms": 2000},
        **options,
    }
    return inspector.collect(given, time.monotonic() + seconds)


@pytest.fixture(autouse=True)
def host_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's clock is right, and the run has just started."""
    monkeypatch.setattr(time, "time", lambda: NOW + 1)


def test_a_silence_that_the_list_covers(serve: Callable[..., Any]) -> None:
    record = collect(serve(ngrok([call(NOW - 3600)])).url)
    signals = record["signals"]
    assert (record["layer"], record["state"], record["limits"]) == ("tunnel", "healthy", [])
    assert signals.keys() == inspector.SIGNALS.keys()
    assert (signals["inspector_readable"], signals["inspector_covers"]) == (True, True)
    assert (signals["inspector_callbacks"], signals["inspector_statuses"]) == (0, [])
    assert signals["inspector_oldest"] == rfc3339(NOW - 3600)
    assert signals["tunnel_urls"] == ["https://proto-trainer.ngrok.io"]


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("http://localhost:3003", 3003),
        ("https://127.0.0.1:3003/", 3003),
        ("3003", 3003),
        ("http://proto-trainer.local", None),
        ("file:///srv/www", None),
        (None, None),
    ],
)
def test_the_port_that_a_tunnel_forwards_to(address: str | None, port: int | None) -> None:
    tunnel = {"public_url": "https://proto-trainer.ngrok.io", "config": {"addr": address}}
    assert inspector.tunnel_of(tunnel) == ("https://proto-trainer.ngrok.io", port)


@pytest.mark.parametrize("requests", [[], [call(ATTEMPT_AT + 5, uri="/other")]])
def test_a_list_that_begins_later_covers_nothing(serve: Callable[..., Any], requests: list[Any]) -> None:
    record = collect(serve(ngrok(requests)).url)
    assert record["signals"]["inspector_covers"] is None
    assert "from before the attempt" in record["limits"][0]


def test_the_agents_calls_are_counted_with_their_statuses(serve: Callable[..., Any]) -> None:
    requests = [call(ATTEMPT_AT + 9, None), call(ATTEMPT_AT + 3, 500), call(ATTEMPT_AT + 1, 201, uri=f"{PATH}/?a=1")]
    record = collect(serve(ngrok(requests)).url)
    assert record["signals"]["inspector_callbacks"] == 3
    assert record["signals"]["inspector_statuses"] == [201, 500]
    assert [event["what"].rsplit(": ", 1)[1] for event in record["events"]] == ["201", "500", "no answer yet"]


@pytest.mark.parametrize(
    "other",
    [
        call(ATTEMPT_AT + 1, method="GET"),
        call(ATTEMPT_AT + 1, uri="/api/internal/sessions-of-others"),
        call(ATTEMPT_AT - 90),
        call(ATTEMPT_AT + 200),
        call(ATTEMPT_AT + 1, User_Agent="voiceops.livekit/0.1.0 probe"),
        call(ATTEMPT_AT + 1, X_Probe_Id="abc"),
        call(ATTEMPT_AT + 1, body=json.dumps({"userId": ZERO})),
    ],
)
def test_other_calls_are_not(serve: Callable[..., Any], other: dict[str, Any]) -> None:
    assert collect(serve(ngrok([other])).url)["signals"]["inspector_callbacks"] == 0


def test_calls_of_tools_are_told_and_do_not_count(serve: Callable[..., Any]) -> None:
    calls = [call(ATTEMPT_AT + 1, 401, User_Agent="curl/8.5.0"), call(ATTEMPT_AT + 3, 201, User_Agent="axios/1.7.9")]
    early = call(ATTEMPT_AT - 300, 401, User_Agent="Wget/1.21")
    record = collect(serve(ngrok([early, *calls])).url)
    assert record["signals"]["inspector_statuses"] == [201]
    assert record["limits"] == ["calls of curl in the attempt do not count as the agent's"]
    told = [(event["what"].rsplit(": ", 1)[1], event["self"]) for event in record["events"]]
    assert told == [("401, of Wget", False), ("401, of curl", False), ("201", False)]


def test_calls_in_a_window_of_ours_are_not(serve: Callable[..., Any]) -> None:
    windows = [{"since": rfc3339(ATTEMPT_AT), "until": rfc3339(ATTEMPT_AT + 2), "what": "probe"}]
    record = collect(serve(ngrok([call(ATTEMPT_AT + 1)])).url, probes=windows)
    assert record["signals"]["inspector_callbacks"] == 0
    assert record["events"][0]["self"] is True


def test_the_agents_call_in_a_window_of_our_refused_probe_is_told_by_its_success(serve: Callable[..., Any]) -> None:
    windows = [{"since": rfc3339(ATTEMPT_AT), "until": rfc3339(ATTEMPT_AT), "what": "POST", "status": 401}]
    calls = [call(ATTEMPT_AT + 0.2, 401), call(ATTEMPT_AT + 0.5, 201)]
    signals = collect(serve(ngrok(calls)).url, probes=windows)["signals"]
    assert (signals["inspector_callbacks"], signals["inspector_statuses"]) == (1, [201])


def test_times_are_the_controllers(serve: Callable[..., Any]) -> None:
    ahead = {"offset_ms": 7_200_000, "uncertainty_ms": 50}
    record = collect(serve(ngrok([call(ATTEMPT_AT + 7200 + 1)])).url, clock=ahead)
    assert record["signals"]["inspector_callbacks"] == 1
    assert record["events"][0]["at"] == rfc3339(ATTEMPT_AT + 1)


def test_no_header_or_body_leaves_the_module(serve: Callable[..., Any]) -> None:
    record = collect(serve(ngrok([call(ATTEMPT_AT + 1, uri=f"{PATH}?token=abcdef0123456789abcd")])).url)
    assert "s3cr3t" not in str(record)
    assert "abcdef0123456789" not in str(record)
    assert REAL not in str(record)


def test_nothing_listens() -> None:
    record = collect("http://127.0.0.1:1")
    assert (record["state"], record["signals"]["inspector_readable"]) == ("unknown", False)
    assert (record["signals"]["inspector_callbacks"], record["signals"]["inspector_covers"]) == (None, None)
    assert "refused" in record["limits"][0]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"404 page not found"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"requests": 3}'),
        (200, b"[" * 100_000),
        (200, b"\xff"),
    ],
)
def test_what_is_no_list_is_unreadable(serve: Callable[..., Any], status: int, body: bytes) -> None:
    record = collect(serve(lambda _request: (status, {}, body)).url)
    assert record["signals"]["inspector_readable"] is False
    assert "expected a JSON list" in record["summary"]


@pytest.mark.parametrize(
    "item",
    [
        None,
        3,
        {},
        {"start": "?", "request": {}},
        {"start": rfc3339(NOW), "request": None},
        {
            "start": rfc3339(NOW),
            "request": {"uri": "http://[", "headers": [], "raw": "*", "method": None},
            "response": 3,
        },
        {"start": rfc3339(NOW), "request": {"uri": "/\ud800", "method": "POST"}, "response": {"status": None}},
    ],
)
def test_items_that_make_no_sense_are_passed_over(serve: Callable[..., Any], item: Any) -> None:
    record = collect(serve(ngrok([item, call(ATTEMPT_AT + 1)])).url)
    assert record["signals"]["inspector_callbacks"] == 1
    json.dumps(record, ensure_ascii=False).encode()


def test_a_long_list_is_asked_for_again_in_short(serve: Callable[..., Any]) -> None:
    def long(request: Any) -> tuple[int, dict[str, str], bytes]:
        if request.path.endswith("limit=500"):
            return 200, {}, b" " * (inspector._BODY_LIMIT + 1)
        return ngrok([call(ATTEMPT_AT + 1)])(request)

    assert collect(serve(long).url)["signals"]["inspector_callbacks"] == 1


def test_no_tunnel_at_all_is_a_fault(serve: Callable[..., Any]) -> None:
    record = collect(serve(ngrok([], [])).url)
    assert (record["state"], record["signals"]["tunnel_urls"]) == ("faulty", [])


def test_a_hanging_inspector_ends_with_the_deadline(listen: Callable[..., int]) -> None:
    def hold(connection: Any) -> None:
        while connection.recv(65536):
            pass

    record = collect(f"http://127.0.0.1:{listen(hold)}", 0.3)
    assert (record["state"], record["signals"]["inspector_readable"]) == ("unknown", False)


@pytest.mark.parametrize(
    ("options", "variable"),
    [({"inspector_url": "4040"}, "voiceops_inspector_url"), ({"callback_url": ""}, "voiceops_callback_url")],
)
def test_bad_options_are_unknown_and_name_the_variable(options: dict[str, Any], variable: str) -> None:
    record = inspector.collect({"callback_url": "http://a/b", **options}, time.monotonic() + AMPLE_S)
    assert record["summary"].startswith(f"{variable}: expected a URL")
    assert set(record["signals"].values()) == {None}


@pytest.mark.parametrize(
    ("listed", "elapsed"),
    [
        ("   10-02:03:04 systemd\n         05:06 ngrok\n", 306.0),
        ("      02:00:01 /opt/homebrew/bin/ngrok   \n", 7201.0),
        ("    1-00:00:00 ngrok\n", 86400.0),
        ("         05:06 ngrok\n         00:06 ngrok\n", None),
        ("         05:06 ngrok-operator\n", None),
        ("         05:06 node\n", None),
        ("error: unsupported option\n", None),
    ],
)
def test_since_when_ngrok_runs(program: Callable[[str, str], Any], listed: str, elapsed: float | None) -> None:
    program("ps", f"#!/bin/sh\nprintf %s '{listed}'\n")
    assert inspector.ngrok_elapsed(time.monotonic() + AMPLE_S) == elapsed


def test_a_host_without_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert inspector.ngrok_elapsed(time.monotonic() + AMPLE_S) is None


def test_when_the_tunnel_began(serve: Callable[..., Any], program: Callable[[str, str], Any]) -> None:
    program("ps", "#!/bin/sh\necho '05:06 ngrok'\n")
    began = time.time()
    ahead = {"offset_ms": 7_200_000, "uncertainty_ms": 50}
    told = collect(serve(ngrok([])).url, clock=ahead)["signals"]["tunnel_started_at"]
    assert rfc3339(began - 7200 - 306) <= told <= rfc3339(time.time() - 7200 - 306)
