# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the two ways to LiveKit's agents is gone, and which of their records is kept."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via
from ansible_collections.voiceops.livekit.plugins.module_utils.record import record, unknown

WHOLE = {
    "livekit_url": "wss://my-project.livekit.cloud",
    "livekit_api_key": "APIkey",
    "livekit_api_secret": "geheimnis",
    "agent_dir": "/no/such/folder/on/the/controller",
}


def test_what_lk_did_not_tell_is_asked_again_and_nothing_else() -> None:
    records = {
        "secrets": unknown("secrets", "no lk", signals={"listed": None}),
        "agent": record("agent", "faulty", "gone", signals={"found": False}),
        "agent_after": unknown("agent", "mac is away", signals={"host_reachable": False}),
        "inspector": unknown("tunnel", "mac is away", signals={"host_reachable": False}),
    }
    assert agent_via.untold(records) == ["secrets", "agent_after"]


@pytest.mark.parametrize(
    ("changed", "can"),
    [
        ({}, True),
        ({"livekit_api_key": ""}, False),
        ({"livekit_api_key": None, "livekit_api_secret": None}, False),
        ({"livekit_url": ""}, False),
        ({"livekit_url": "ws://my-own-server.example:7880"}, False),
        ({"livekit_url": "ws://localhost:7880", "lk_environment": {"LK_AGENTS_URL": "http://127.0.0.1:1"}}, True),
    ],
)
def test_livekit_can_be_asked_with_credentials_and_an_address(changed: dict[str, Any], can: bool) -> None:
    assert agent_via.can_ask_straight({**WHOLE, **changed}) is can


def test_the_record_that_knows_more_is_kept_and_tells_of_the_other() -> None:
    nothing = unknown("agent", "mac is away", signals={"host_reachable": False, "found": None})
    little = record("agent", "unknown", "late", signals={"found": None, "logs": "read", "log_lines": 3})
    much = record("agent", "healthy", "it runs", signals={"found": True, "via": "api"}, limits=["one"])

    assert agent_via.fuller(nothing, much) == {**much, "limits": ["one", "lk did not tell: mac is away"]}
    kept = agent_via.fuller(little, unknown("agent", "no answer", signals={"found": None, "logs": None}))
    assert (kept["signals"]["logs"], kept["limits"]) == ("read", ["LiveKit was asked straight, too: no answer"])


@pytest.mark.parametrize(("chosen", "way"), [("api", "api"), ("lk", "lk"), ("auto", "lk"), (None, "lk")])
def test_who_does_not_look_further_asks_lk_unless_the_api_was_chosen(chosen: str | None, way: str) -> None:
    assert agent_via.asked_by({"agent_via": chosen}) == way


@pytest.mark.parametrize(
    ("output", "quiet_s", "over"),
    [
        (b"", 60.0, False),
        (b"Using url from environment\n", 3.0, False),
        (b"Using url from environment\n", 6.5, True),
        (b"Using url from environment\nstarting worker\n", 1.9, False),
        (b"Using url from environment\nstarting worker\n", 2.1, True),
        (b"Using url from environment\nregistered worker\n", 0.0, True),
    ],
)
def test_the_log_is_over_once_the_agent_is_quiet_and_not_while_lk_asks_for_it(
    output: bytes, quiet_s: float, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(agent_via.lk, "call", lambda *_args, stop_when, **_options: asked.append(stop_when))
    session = agent_via.lk.prepare({**WHOLE, "agent_dir": None})
    agent_via.logs(session, 0.0, quiet_s=2.0, until=b"registered worker")
    assert asked[0](bytearray(output), quiet_s) is over
