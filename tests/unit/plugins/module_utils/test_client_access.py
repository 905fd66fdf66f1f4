# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a browser's URL and token tell."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.client_access import (
    claims_of,
    fault_in,
    identity_of,
    project_of,
    refusal,
    told_by_token,
    url_failure,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import Exchange
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

AT = 1_770_417_540.0
ATTEMPT = {"at": rfc3339(AT), "source": "given", "precision_s": 30}


def jwt(claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def told(offset_ms: int | None = 0, **claims: Any) -> dict[str, Any]:
    return told_by_token(jwt(claims), ATTEMPT, AT + 600, offset_ms)


@pytest.mark.parametrize("text", [None, "", 7, "a.b", "a.b.c", "e30.e30", "e30.W10.x", "ä.ö.ü", jwt([1]), jwt(None)])
def test_what_is_no_token_has_no_claims(text: object) -> None:
    assert claims_of(text) is None
    assert told_by_token(text, ATTEMPT, AT, 0) == {}
    assert identity_of(text) is None


def test_the_claims_are_read_with_and_without_padding() -> None:
    for identity in ("a", "ab", "abc", "é?>"):
        assert identity_of(f" {jwt({'sub': identity})}\n") == identity


@pytest.mark.parametrize(
    ("begins", "ends", "offset_ms", "fault"),
    [
        (-10, 3600, 0, ""),
        (-3600, -92, 0, "expired"),
        (-3600, -90, 0, None),
        (-3600, -28, 0, ""),
        (92, 3600, 0, "not valid yet"),
        (90, 3600, 0, None),
        (420, 3600, 0, "not valid yet"),
        (420, 3600, 420_000, ""),
        (-10, 3600, None, ""),
        (None, 3600, 0, ""),
        (None, None, 0, None),
        (-10, True, 0, None),
    ],
)
def test_whether_the_token_was_valid_at_the_attempt(
    begins: Any, ends: Any, offset_ms: int | None, fault: str | None
) -> None:
    claims = {
        name: value if isinstance(value, bool) else AT + value
        for name, value in (("nbf", begins), ("exp", ends))
        if value is not None
    }
    assert told(offset_ms, **claims)["token_fault"] == fault


def test_what_else_the_token_tells() -> None:
    agents = [{"agentName": "voice"}, {"agent_name": "older"}, {}, "odd"]
    signals = told(nbf=AT, exp=AT + 60, video={"room": "r", "canPublish": False}, roomConfig={"agents": agents})
    assert signals == {
        "token_fault": "",
        "token_issued_at": rfc3339(AT),
        "token_room": "r",
        "token_agents": ["voice", "older", ""],
        "token_may_publish": False,
    }


@pytest.mark.parametrize("odd", [{"video": 1}, {"roomConfig": []}, {"nbf": 1e300}, {"video": {"room": 4}}])
def test_odd_claims_tell_nothing(odd: dict[str, Any]) -> None:
    signals = told(**odd)
    assert (signals["token_room"], signals["token_agents"], signals["token_may_publish"]) == (None, [], True)


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("wss://my-project.livekit.cloud", "my-project"),
        ("https://my-project.staging.livekit.cloud/rtc", "my-project"),
        ("ws://127.0.0.1:7880", None),
        ("wss://livekit.cloud", None),
        ("wss://[bad", None),
        (None, None),
    ],
)
def test_the_project_of_a_url(url: object, project: str | None) -> None:
    assert project_of(url) == project


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        ({}, ""),
        ({"url_failure": "", "token_refused": "expired", "token_fault": ""}, ""),
        ({"url_failure": "dns"}, "no LiveKit server answers at the browser's URL: dns"),
        ({"token_refused": "key", "token_fault": "expired"}, "LiveKit refuses the person's token for its key"),
        ({"token_fault": "not valid yet"}, "the person's token was not valid yet at the attempt"),
    ],
)
def test_what_keeps_the_person_out(access: dict[str, Any], sentence: str) -> None:
    assert fault_in(access) == sentence


@pytest.mark.parametrize(
    ("exchange", "failure"),
    [
        ({"status": 200}, ""),
        ({"status": 401}, ""),
        ({"status": 404}, "not_livekit"),
        ({"status": 502}, None),
        ({"dns_ok": False, "failure": "dns"}, "dns"),
        ({"failure": "dns"}, None),
        ({"tls_ok": False, "tls_error": "expired", "failure": "tls"}, "tls"),
        ({"tls_ok": False, "tls_error": "no_ca_store", "failure": "tls"}, None),
        ({"tcp_ok": False, "failure": "refused"}, "refused"),
        ({"failure": "timeout"}, None),
    ],
)
def test_why_no_livekit_answers(exchange: dict[str, Any], failure: str | None) -> None:
    assert url_failure(Exchange(started_at=AT, **exchange)) == failure


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "success", ""),
        (401, "invalid API key", "key"),
        (401, "invalid authorization token: go-jose/go-jose: error in cryptographic primitive", "signature"),
        (401, "invalid authorization token: token signature is invalid: signature is invalid", "signature"),
        (401, "invalid authorization token: token has invalid claims: token is expired", "expired"),
        (401, "invalid authorization token: token has invalid claims: token is not valid yet", "not valid yet"),
        (401, "go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)", "not valid yet"),
        (401, "permissions denied", "other"),
        (404, "invalid API key", None),
        (None, "", None),
    ],
)
def test_why_livekit_refuses_a_token(status: int | None, body: str, reason: str | None) -> None:
    assert refusal(Exchange(started_at=AT, status=status, body=body)) == reason
